import { CodedError } from '@lai/shared/errors';

type Tool = Record<string, unknown>;

export interface ToolChoice {
  readonly tools?: Tool[] | null | undefined;
  readonly tool_choice?: string | Record<string, unknown> | null | undefined;
}

/**
 * A choice of tools as every runtime obeys it: llama-server takes an object for "auto" and Ollama reads no choice at all, so a model is
 * offered nothing but what it may call. Undefined where a field is not to be sent. Throws CodedError for a tool that is not there.
 */
export const chosenTools = ({ tools, tool_choice: choice }: ToolChoice): ToolChoice => {
  if (choice === 'none') return { tools: undefined, tool_choice: undefined };
  if (typeof choice !== 'object' || choice === null) return { tools, tool_choice: choice };
  const { type, allowed_tools: allowed } = choice as Record<string, unknown>;
  if (type !== 'allowed_tools') return { tools: [toolNamed(nameIn(choice), tools ?? [])], tool_choice: 'required' };
  const { mode, tools: list } = (allowed ?? choice) as { mode?: unknown; tools?: unknown };
  const names = Array.isArray(list) ? list.map(nameIn) : [];
  if (names.length === 0 && mode === 'required') throw unchosen('it demands a tool and allows none');
  if (names.length === 0) return { tools: undefined, tool_choice: undefined };
  return { tools: names.map((name) => toolNamed(name, tools ?? [])), tool_choice: mode === 'required' ? 'required' : 'auto' };
};

const toolNamed = (name: string | null, tools: readonly Tool[]): Tool => {
  const tool = tools.find((candidate) => nameIn(candidate) === name);
  if (name !== null && tool) return tool;
  throw unchosen(name === null ? 'it names no tool' : `there is no tool "${name}" in tools`);
};

const unchosen = (why: string): CodedError =>
  new CodedError('invalid_value', { message: `tool_choice: ${why}.`, param: 'tool_choice' });

/** Of a tool or a choice: `{type: "function", function: {name}}`, `{type: "custom", custom: {name}}` or `{name}`. */
const nameIn = (value: unknown): string | null => {
  if (typeof value !== 'object' || value === null) return null;
  const { name, function: fn, custom } = value as Record<string, unknown>;
  return typeof name === 'string' ? name : (nestedName(fn) ?? nestedName(custom));
};

const nestedName = (value: unknown): string | null => {
  const name: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'name') : null;
  return typeof name === 'string' ? name : null;
};
