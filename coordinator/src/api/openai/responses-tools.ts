import { CodedError } from '@lai/shared/errors';
import type { ResponseItem, ResponseRequest, ResponseTool } from '@lai/shared/responses';
import { chosenTools, type ToolChoice } from './tool-choice.ts';

/** How the client knows a function that the model was offered under `chatName`. */
export interface OfferedTool {
  readonly chatName: string;
  readonly name: string;
  readonly namespace: string | null;
  /** `custom` tools take free text; the model is offered a function with one string. */
  readonly kind: 'function' | 'custom';
}

export interface ToolOffer {
  /** Chat's shape. */
  readonly tools: readonly Record<string, unknown>[];
  /** By the name the model knows. */
  readonly offered: ReadonlyMap<string, OfferedTool>;
}

/** Codex's own group: its functions are called without a namespace. */
const PLAIN_NAMESPACE = 'functions';

/**
 * The tools a chat model can be offered. Functions and custom tools are taken, namespaces are flattened (Codex finds a call again
 * only when it gets name and namespace apart, so both are remembered); what the provider itself would run (web_search and the like)
 * is dropped: refusing it would lock out clients that always send it.
 */
export const offerTools = (tools: readonly ResponseTool[]): ToolOffer => {
  const offered = new Map<string, OfferedTool>();
  const chat: Record<string, unknown>[] = [];
  const offer = (tool: ResponseTool, namespace: string | null) => {
    if ((tool.type !== 'function' && tool.type !== 'custom') || !tool.name) return;
    const chatName = namespace === null ? tool.name : `${namespace}__${tool.name}`;
    if (offered.has(chatName)) return;
    offered.set(chatName, { chatName, name: tool.name, namespace, kind: tool.type });
    chat.push(tool.type === 'function' ? functionOf(tool, chatName) : customOf(tool, chatName));
  };
  for (const tool of tools) {
    if (tool.type !== 'namespace') {
      offer(tool, null);
      continue;
    }
    const namespace = tool.name && tool.name !== PLAIN_NAMESPACE ? tool.name : null;
    for (const member of tool.tools ?? []) offer({ ...member, type: member.type ?? 'function' } as ResponseTool, namespace);
  }
  return { tools: chat, offered };
};

const functionOf = ({ description, parameters, strict }: ResponseTool, name: string) => ({
  type: 'function',
  function: {
    name,
    ...(description ? { description } : {}),
    parameters: parameters ?? { type: 'object', properties: {} },
    ...(typeof strict === 'boolean' ? { strict } : {}),
  },
});

const customOf = ({ description }: ResponseTool, name: string) => ({
  type: 'function',
  function: {
    name,
    ...(description ? { description } : {}),
    parameters: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
  },
});

/** The name under which the model made a call that stands in the history. */
export const chatNameOf = ({ name, namespace }: Pick<ResponseItem, 'name' | 'namespace'>): string =>
  namespace && namespace !== PLAIN_NAMESPACE ? `${namespace}__${name ?? ''}` : (name ?? '');

/** Tools that no model here can be offered, as places in the request. */
export const unofferedTools = (tools: readonly ResponseTool[]): string[] =>
  tools.filter(({ type }) => type !== 'function' && type !== 'custom' && type !== 'namespace').map(({ type }) => `tools.${type}`);

/** The tools and the choice among them in chat's words. Throws CodedError when it is about a tool that is not offered. */
export const chosenOffer = (choice: ResponseRequest['tool_choice'], { tools, offered }: ToolOffer): ToolChoice => {
  const isDemanded = choice === 'required' || (typeof choice === 'object' && choice !== null && choice['mode'] !== 'auto');
  if (tools.length === 0 && isDemanded) throw notOffered('it demands a tool, and none of the tools can be offered here');
  return tools.length === 0 ? {} : chosenTools({ tools: [...tools], tool_choice: chatChoice(choice, offered) });
};

const chatChoice = (choice: ResponseRequest['tool_choice'], offered: ToolOffer['offered']): ToolChoice['tool_choice'] => {
  if (typeof choice !== 'object' || choice === null) return choice;
  if (choice.type !== 'allowed_tools') return { name: offeredName(choice, offered) };
  const allowed = Array.isArray(choice['tools']) ? (choice['tools'] as ResponseTool[]) : [];
  // Those of them that nobody here runs are as if they had not been in tools.
  const names = allowed.filter(({ type }) => type === 'function' || type === 'custom').map((tool) => offeredName(tool, offered));
  return { ...choice, tools: names.map((name) => ({ name })) };
};

const offeredName = (
  { type, name, namespace }: { type: string; name?: string | null | undefined; namespace?: unknown },
  offered: ToolOffer['offered'],
): string => {
  const chatName = chatNameOf({ name, namespace: typeof namespace === 'string' ? namespace : null });
  if (offered.has(chatName)) return chatName;
  throw notOffered(name ? `there is no tool "${name}" among those that can be offered here` : `"${type}" cannot be run here`);
};

const notOffered = (why: string): CodedError =>
  new CodedError('invalid_value', { message: `tool_choice: ${why}.`, param: 'tool_choice' });
