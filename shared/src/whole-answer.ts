import type { AttemptRoute } from './attempt.ts';
import { saysError } from './engine-words.ts';
import { withoutWords } from './exact-json.ts';

export type WholeAnswer =
  /** `text` is what the client gets; `usage` is as the engine wrote it. */
  | { readonly kind: 'answer'; readonly text: string; readonly usage: unknown }
  /** The engine reports an error, or says nothing that answers the route. */
  | { readonly kind: 'error'; readonly text: string }
  | { readonly kind: 'missing'; readonly detail: string };

/** The routes that are answered at once, and what each of their answers must have. */
type WholeRoute = Exclude<AttemptRoute, 'chat.completions' | 'completions'>;

const PAYLOADS: Readonly<Record<WholeRoute, { readonly field: string; isThere(value: unknown): boolean }>> = {
  embeddings: {
    field: 'data',
    isThere: (list) => isFilled(list) && list.every((entry) => isVector(fieldOf(entry, 'embedding'))),
  },
  rerank: {
    field: 'results',
    isThere: (list) => isFilled(list) && list.every((entry) => isFigure(fieldOf(entry, 'relevance_score'))),
  },
  'audio.transcriptions': { field: 'text', isThere: (text) => typeof text === 'string' },
};

/** What an engine's answer under status 200 is. `isPlain`: the client asked for text that is no JSON. */
export const readWhole = (route: AttemptRoute, text: string, { isPlain = false } = {}): WholeAnswer => {
  const json = withoutWords(text);
  const value = parsed(json);
  if (isRecord(value) && saysError(value)) return { kind: 'error', text };
  if (isPlain && !isRecord(value)) return isPage(text) ? { kind: 'error', text } : { kind: 'answer', text, usage: null };
  if (!isRecord(value)) return { kind: 'error', text };
  const payload = PAYLOADS[route as WholeRoute];
  return payload.isThere(value[payload.field])
    ? { kind: 'answer', text: json, usage: value['usage'] }
    : { kind: 'missing', detail: `the answer has no ${payload.field} that can be used` };
};

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
};

const isFilled = (list: unknown): list is unknown[] => Array.isArray(list) && list.length > 0;
const isFigure = (value: unknown): boolean => Number.isFinite(value);
/** Of one that could not be computed (NaN) nothing can be told. */
const isVector = (vector: unknown): boolean =>
  typeof vector === 'string' ? vector !== '' : isFilled(vector) && vector.every(isFigure);
const isPage = (text: string): boolean => /^\s*<(?:!doctype|html)/i.test(text);
const fieldOf = (entry: unknown, name: string): unknown => (isRecord(entry) ? entry[name] : undefined);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
