import { type FinishReason, isFinishReason, saysError } from './engine-words.ts';
import { parseExact, withoutWords } from './exact-json.ts';
import { DONE, type SseEvent, SseReader } from './sse.ts';

/** A streamed chunk of a chat or a completion. What is not named here is as the engine wrote it. */
export interface AnswerChunk {
  choices: AnswerChoice[];
  usage?: unknown;
  [field: string]: unknown;
}

export interface AnswerChoice {
  index: number;
  /** Of a chat. */
  delta?: AnswerDelta;
  /** Of a plain completion. */
  text?: string | null;
  finish_reason?: FinishReason | null;
  logprobs?: Record<string, unknown> | null;
  [field: string]: unknown;
}

export interface AnswerDelta {
  content?: string | null;
  refusal?: string | null;
  reasoning?: string | null;
  reasoning_content?: string | null;
  tool_calls?: CallDelta[] | null;
  [field: string]: unknown;
}

export interface CallDelta {
  index?: number | null;
  id?: string | null;
  type?: string | null;
  function: { name?: string | null; arguments?: unknown; [field: string]: unknown };
  [field: string]: unknown;
}

export type AnswerEvent =
  /** `json` is one line of valid JSON; `isTidied` when `chunk` no longer says exactly that. */
  | { readonly kind: 'chunk'; readonly chunk: AnswerChunk; readonly json: string; readonly isTidied: boolean }
  | { readonly kind: 'done' }
  /** The engine reports an error. */
  | { readonly kind: 'error'; readonly text: string }
  /** The engine gave up on a choice: a finish reason that finishes nothing. */
  | { readonly kind: 'aborted'; readonly reason: string; readonly usage: unknown }
  /** Not the chunk of any answer. */
  | { readonly kind: 'unreadable'; readonly text: string };

/**
 * The one reader of an engine's stream, for the agent that passes it on, for answers that are collected and for those that are said in
 * other words. `null` in place of an object or a list is none. Nothing is read behind the terminator.
 */
export class AnswerReader {
  readonly #events = new SseReader();
  #isDone = false;

  push(text: string): AnswerEvent[] {
    return this.#read(this.#events.push(text));
  }

  finish(): AnswerEvent[] {
    return this.#read(this.#events.finish());
  }

  get pendingLength(): number {
    return this.#events.pendingLength;
  }

  #read(events: readonly SseEvent[]): AnswerEvent[] {
    const read: AnswerEvent[] = [];
    for (const event of events) {
      if (this.#isDone) break;
      const answer = readEvent(event);
      this.#isDone = answer?.kind === 'done';
      if (answer !== null) read.push(answer);
    }
    return read;
  }
}

const readEvent = (event: SseEvent): AnswerEvent | null => {
  if (event.kind === 'stray') return { kind: 'error', text: event.text };
  const data = event.data.trim();
  if (data === DONE) return { kind: 'done' };
  if (event.name === 'error') return { kind: 'error', text: data };
  return data === '' ? null : readChunk(data);
};

const readChunk = (data: string): AnswerEvent | null => {
  // A line feed of valid JSON is space between two of its tokens.
  const json = withoutWords(data).replaceAll('\n', ' ');
  let value: unknown;
  try {
    value = parseExact(json);
  } catch {
    return { kind: 'unreadable', text: data };
  }
  if (value === null) return null;
  if (!isRecord(value)) return { kind: 'unreadable', text: data };
  if (saysError(value)) return { kind: 'error', text: json };
  const hasChoices = 'choices' in value;
  const tidied = tidyChunk(value);
  if (tidied === 'unreadable') return { kind: 'unreadable', text: data };
  const chunk = value as AnswerChunk;
  if (chunk.choices.some(saysError)) return { kind: 'error', text: json };
  const aborted = chunk.choices.find(({ finish_reason: word }) => !isNothing(word) && !isFinishReason(word));
  if (aborted) return { kind: 'aborted', reason: JSON.stringify(aborted.finish_reason).slice(0, 100), usage: chunk.usage };
  // An object of another kind, a ping perhaps.
  if (!hasChoices && !isRecord(chunk.usage)) return null;
  return { kind: 'chunk', chunk, json, isTidied: tidied === 'changed' };
};

type Tidied = 'same' | 'changed' | 'unreadable';

const worst = (all: readonly Tidied[]): Tidied =>
  all.includes('unreadable') ? 'unreadable' : all.includes('changed') ? 'changed' : 'same';

/** Changes the chunk in place to what the types above say. */
const tidyChunk = (chunk: Record<string, unknown>): Tidied => {
  if (chunk['choices'] === undefined || chunk['choices'] === null) {
    chunk['choices'] = [];
    return 'changed';
  }
  if (!Array.isArray(chunk['choices'])) return 'unreadable';
  const choices = chunk['choices'].filter((choice) => choice !== null);
  const hasNull = choices.length !== chunk['choices'].length;
  chunk['choices'] = choices;
  const isPlain = chunk['object'] === 'text_completion';
  return worst([hasNull ? 'changed' : 'same', ...choices.map((choice, place) => tidyChoice(choice, { place, isPlain }))]);
};

const tidyChoice = (choice: unknown, { place, isPlain }: { place: number; isPlain: boolean }): Tidied => {
  if (!isRecord(choice)) return 'unreadable';
  const all: Tidied[] = [tidyFinish(choice)];
  if (!Number.isSafeInteger(choice['index']) || Number(choice['index']) < 0) {
    choice['index'] = place;
    all.push('changed');
  }
  if (!isRecord(choice['logprobs']) && !isAbsent(choice['logprobs'])) {
    choice['logprobs'] = null;
    all.push('changed');
  }
  if (isPlain || (isAbsent(choice['delta']) && typeof choice['text'] === 'string')) all.push(tidyText(choice, 'text'));
  else if (isAbsent(choice['delta'])) {
    const { message } = choice;
    delete choice['message'];
    choice['delta'] = message ?? {};
    all.push(isRecord(choice['delta']) ? worst(['changed', tidyDelta(choice['delta'])]) : 'unreadable');
  } else all.push(isRecord(choice['delta']) ? tidyDelta(choice['delta']) : 'unreadable');
  return worst(all);
};

/** An empty word is none yet. */
const tidyFinish = (choice: Record<string, unknown>): Tidied => {
  if (choice['finish_reason'] !== '') return 'same';
  choice['finish_reason'] = null;
  return 'changed';
};

const tidyDelta = (delta: Record<string, unknown>): Tidied => {
  const texts = ['content', 'refusal', 'reasoning', 'reasoning_content'].map((field) => tidyText(delta, field));
  const calls = delta['tool_calls'];
  if (isAbsent(calls)) return worst(texts);
  if (!Array.isArray(calls)) return 'unreadable';
  const kept = calls.filter((call) => call !== null);
  delta['tool_calls'] = kept;
  return worst([...texts, kept.length === calls.length ? 'same' : 'changed', ...kept.map(tidyCall)]);
};

const tidyCall = (call: unknown): Tidied => {
  if (!isRecord(call)) return 'unreadable';
  if (isAbsent(call['function'])) {
    call['function'] = {};
    return 'changed';
  }
  return isRecord(call['function']) ? worst([tidyText(call, 'id'), tidyText(call['function'], 'name')]) : 'unreadable';
};

/** Some engines say a text as a list of parts. */
const tidyText = (fields: Record<string, unknown>, field: string): Tidied => {
  const value = fields[field];
  if (typeof value === 'string' || isAbsent(value)) return 'same';
  if (!Array.isArray(value)) return 'unreadable';
  fields[field] = value
    .map((part) => (isRecord(part) ? part['text'] : part))
    .filter((text) => typeof text === 'string')
    .join('');
  return 'changed';
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined;
const isNothing = (value: unknown): boolean => isAbsent(value) || value === '';
