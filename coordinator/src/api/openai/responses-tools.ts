import type { ResponseItem, ResponseRequest, ResponseTool } from '@lai/shared/responses';

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
export const chatNameOf = ({ name = '', namespace }: Pick<ResponseItem, 'name' | 'namespace'>): string =>
  namespace && namespace !== PLAIN_NAMESPACE ? `${namespace}__${name}` : name;

/** Chat's word for the choice; none when it is about a tool that is not offered. */
export const toolChoiceOf = (choice: ResponseRequest['tool_choice'], { tools, offered }: ToolOffer): unknown => {
  if (choice === null || choice === undefined || tools.length === 0) return undefined;
  if (typeof choice === 'string') return choice;
  if (choice.type === 'allowed_tools') return choice['mode'] === 'required' ? 'required' : 'auto';
  const chatName = chatNameOf({ name: choice.name, namespace: (choice['namespace'] as string | undefined) ?? null });
  return offered.has(chatName) ? { type: 'function', function: { name: chatName } } : undefined;
};
