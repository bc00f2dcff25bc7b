import { type Fields, isFields, type Prompt } from './prompt.ts';
import { exactTokens, labelOf, naturalTokens, piecesOf, seedOf } from './text.ts';

export interface ToolCall {
  readonly name: string;
  readonly arguments: Fields;
}

/** Everything that will be said, known before the first token is written. */
export interface Answer {
  readonly tokens: readonly string[];
  readonly finishReason: 'stop' | 'length' | 'tool_calls';
  readonly toolCall: ToolCall | null;
}

export const composeAnswer = (wish: {
  prompt: Prompt;
  name: string;
  canUseTools: boolean;
  naturalTokens: number;
  longestTokens: number;
}): Answer => {
  const { prompt } = wish;
  const label = labelOf(wish.name);
  const tool = wish.canUseTools && prompt.lastUserText.includes('#tool') ? prompt.tools[0] : undefined;
  if (tool) return toolAnswer(tool, label);
  if (prompt.json !== null) return cut(piecesOf(JSON.stringify(jsonAnswer(prompt.json, label))), prompt.maxTokens);
  const seed = seedOf(prompt.text);
  const limit = prompt.maxTokens;
  // A small limit is used up, as a real model under test would; a huge one is a habit of the caller.
  if (limit !== null && limit <= wish.longestTokens) {
    return { tokens: exactTokens({ seed, label, count: limit }), finishReason: 'length', toolCall: null };
  }
  return { tokens: naturalTokens({ seed, label, naturalTokens: wish.naturalTokens }), finishReason: 'stop', toolCall: null };
};

const cut = (tokens: readonly string[], limit: number | null): Answer =>
  limit !== null && limit < tokens.length
    ? { tokens: tokens.slice(0, limit), finishReason: 'length', toolCall: null }
    : { tokens, finishReason: 'stop', toolCall: null };

const toolAnswer = (tool: Fields, label: string): Answer => {
  const definition = isFields(tool['function']) ? tool['function'] : tool;
  const name = typeof definition['name'] === 'string' ? definition['name'] : 'unnamed';
  const args = isFields(definition['parameters']) ? exampleOf(definition['parameters'], label) : {};
  const toolCall = { name, arguments: isFields(args) ? args : {} };
  return { tokens: piecesOf(JSON.stringify(toolCall.arguments)), finishReason: 'tool_calls', toolCall };
};

const jsonAnswer = (json: 'any' | Fields, label: string): unknown =>
  json === 'any' ? { simulated: true, answer: `${label} The quiet lamp follows a small river.` } : exampleOf(json, label);

/** The smallest value that fits a JSON schema; every string says that it is simulated. */
const exampleOf = (schema: Fields, label: string): unknown => {
  if ('const' in schema) return schema['const'];
  if (Array.isArray(schema['enum'])) return schema['enum'][0];
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  switch (type) {
    case 'integer':
    case 'number':
      return typeof schema['minimum'] === 'number' ? schema['minimum'] : 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    case 'array':
      return isFields(schema['items']) ? [exampleOf(schema['items'], label)] : [];
    case 'object':
      return exampleObject(schema, label);
    default:
      return isFields(schema['properties']) ? exampleObject(schema, label) : label;
  }
};

const exampleObject = (schema: Fields, label: string): Fields => {
  const properties = isFields(schema['properties']) ? schema['properties'] : {};
  return Object.fromEntries(
    Object.entries(properties).map(([key, value]) => [key, isFields(value) ? exampleOf(value, label) : label]),
  );
};
