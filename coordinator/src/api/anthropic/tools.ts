import type { AnthropicTool, MessagesRequest } from '@lai/shared/anthropic';
import { CodedError } from '@lai/shared/errors';
import type { ChatCompletionRequest } from '@lai/shared/openai';
import { chosenTools } from '../openai/tool-choice.ts';
import { clientToolOf, isServerTool } from './client-tools.ts';

type ChatTools = Pick<ChatCompletionRequest, 'tools' | 'tool_choice' | 'parallel_tool_calls'>;

/** The tools of a Messages request and its choice among them in chat's words. Throws CodedError for a tool that cannot be offered. */
export const chatToolsOf = ({ tools, tool_choice: choice }: MessagesRequest): ChatTools => {
  const offered = (tools ?? []).flatMap((tool, place) => (isServerTool(tool) ? [] : [toolOf(tool, place)]));
  const isDemanded = choice?.type === 'any' || choice?.type === 'tool';
  if (isDemanded && offered.length === 0)
    throw new CodedError('invalid_value', {
      message: `tool_choice: "${choice.type}" demands a tool, and none of the tools can be offered here.`,
      param: 'tool_choice',
    });
  if (offered.length === 0) return {};
  const parallel = choice?.disable_parallel_tool_use ? { parallel_tool_calls: false } : {};
  return { ...chosenTools({ tools: offered, tool_choice: choiceOf(choice) }), ...parallel };
};

/** Tools that only Anthropic could run, as places in the request. */
export const serverToolsIn = ({ tools }: MessagesRequest): string[] =>
  (tools ?? []).filter(isServerTool).map(({ name, type }) => `tools.${name ?? type}`);

const toolOf = (tool: AnthropicTool, place: number): Record<string, unknown> => {
  const { type, name, description, input_schema } = tool;
  if (name && input_schema)
    return { type: 'function', function: { name, ...(description ? { description } : {}), parameters: input_schema } };
  const known = clientToolOf(tool);
  if (known) return known;
  const missing = name ? 'input_schema' : 'name';
  throw new CodedError('invalid_value', {
    message: `tools[${place}]: ${missing} is missing, and ${type ? `"${type}" is no kind of tool that Lai knows` : 'it has no type that would tell'}. Describe the tool with name and input_schema.`,
    param: `tools[${place}].${missing}`,
  });
};

const choiceOf = (choice: MessagesRequest['tool_choice']): ChatCompletionRequest['tool_choice'] => {
  if (!choice) return undefined;
  if (choice.type === 'tool') return { type: 'function', function: { name: choice.name } };
  if (choice.type === 'any') return 'required';
  return choice.type === 'none' ? 'none' : 'auto';
};
