import { createContext, runInContext } from 'node:vm';

/** What an engine's stream says, read as simply as possible: the whole of it at once, JSON as the JavaScript that it also is. */
export interface Said {
  /** Every choice has finished, the terminator came, and nothing reported an error. */
  readonly isComplete: boolean;
  readonly choices: ReadonlyMap<number, SaidChoice>;
}

export interface SaidChoice {
  text: string;
  reasoning: string;
  finish: string | null;
  /** By index, or by id where the engine counts none. */
  readonly calls: Map<unknown, { name: string; arguments: string }>;
}

const FINISHES = ['stop', 'length', 'tool_calls', 'function_call', 'content_filter'];

/** Where JSON is run as the program that it also is; a global NaN cannot be changed, but compares and adds as nothing here. */
const engine = createContext({});

// biome-ignore lint/suspicious/noExplicitAny: whatever the engine wrote
type Any = any;

export const readByReference = (bytes: Buffer): Said => {
  const choices = new Map<number, SaidChoice>();
  let isDone = false;
  let hasFailed = false;
  const text = bytes
    .toString()
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n');
  for (const block of text.split(/\n\n+/)) {
    if (isDone || hasFailed) break;
    const lines = block.split('\n').filter((line) => line !== '');
    const isField = (line: string) => /^(?:|data|event|id|retry)(?::|$)/.test(line);
    const data = lines
      .filter((line) => /^data(?::|$)/.test(line))
      .map((line) => line.replace(/^data:? ?/, ''))
      .join('\n')
      .trim();
    const stray = lines.filter((line) => !isField(line) && !(lines.some(isField) && /^[A-Za-z][\w-]*:/.test(line)));
    if (data === '[DONE]') isDone = true;
    else if (lines.some((line) => /^event: ?error$/.test(line)) && lines.some((line) => line.startsWith('data')))
      hasFailed = true;
    else if (data !== '') hasFailed = !take(choices, data);
    hasFailed ||= stray.length > 0 && !isDone;
  }
  const isFinished = choices.size > 0 && [...choices.values()].every(({ finish }) => finish !== null);
  return { isComplete: isDone && !hasFailed && isFinished, choices };
};

const isError = (error: Any): boolean => Boolean(error) && Object.keys(error).length > 0;

/** False when it is an error or no chunk. */
const take = (choices: Map<number, SaidChoice>, data: string): boolean => {
  let chunk: Any;
  try {
    chunk = runInContext(`(${data})`, engine);
  } catch {
    return false;
  }
  if (chunk === null) return true;
  if (typeof chunk !== 'object' || isError(chunk.error)) return false;
  const list: Any[] = (chunk.choices ?? []).filter(Boolean);
  if (list.some(({ error, finish_reason }) => isError(error) || (finish_reason && !FINISHES.includes(finish_reason))))
    return false;
  for (const { index = 0, delta, finish_reason } of list) {
    const choice = choices.get(index) ?? { text: '', reasoning: '', finish: null, calls: new Map() };
    choices.set(index, choice);
    const parts = delta?.content ?? '';
    choice.text += typeof parts === 'string' ? parts : parts.map((part: Any) => part?.text ?? '').join('');
    choice.reasoning += delta?.reasoning_content ?? delta?.reasoning ?? '';
    for (const call of (delta?.tool_calls ?? []).filter(Boolean)) {
      const key = call.index ?? call.id;
      const known = choice.calls.get(key) ?? { name: '', arguments: '' };
      choice.calls.set(key, known);
      known.name ||= call.function?.name ?? '';
      const args = call.function?.arguments ?? '';
      known.arguments += typeof args === 'string' ? args : JSON.stringify(args);
    }
    if (finish_reason) choice.finish = finish_reason === 'stop' && choice.calls.size > 0 ? 'tool_calls' : finish_reason;
  }
  return true;
};
