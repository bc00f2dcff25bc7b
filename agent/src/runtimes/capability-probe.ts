import type { Capability } from '@lai/shared/node';
import { openEngineRequest, readText } from './engine-http.ts';

/** One pixel of white, 64 times 64 of it: small, and not too small for the models that refuse less than 28. */
const IMAGE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAKUlEQVR42u3MQREAAAwCIPuX1hD77SAA6VEEAoFAIBAIBAKBQCAQfA8Gpwvw4qrwDDIAAAAASUVORK5CYII=';
const TOOL = { type: 'function', function: { name: 'lai_probe', parameters: { type: 'object', properties: {} } } };

/** It makes vectors. */
const NO_CHAT = /does not support (?:the )?chat/i;
/** It goes on with a text and was not taught to answer. */
const NO_TEMPLATE = /default chat template|(?:no|without a|must provide a) chat template/i;
const PROBE_LIMIT_MS = 20_000;

type Verdict = 'yes' | 'no' | 'no_chat' | 'no_template' | 'unknown';

export interface ProbeTarget {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly model: string;
}

/**
 * Asks a model that tells nothing of itself what it takes: one token each, with a tool, and with an image. A refusal as invalid is a
 * no. Null while it cannot be known: the engine is busy, away or in trouble.
 */
export const probeCapabilities = async (target: ProbeTarget, signal: AbortSignal): Promise<readonly Capability[] | null> => {
  const tools = await ask(target, { content: 'Hi.', more: { tools: [TOOL] } }, signal);
  if (tools === 'unknown') return null;
  if (tools === 'no_chat') return ['embedding'];
  if (tools === 'no_template') return ['completion', 'json'];
  const content = [
    { type: 'text', text: 'Hi.' },
    { type: 'image_url', image_url: { url: IMAGE } },
  ];
  const vision = await ask(target, { content, more: {} }, signal);
  if (vision === 'unknown') return null;
  return [
    'chat',
    'completion',
    'json',
    ...(tools === 'yes' ? (['tools'] as const) : []),
    ...(vision === 'yes' ? (['vision'] as const) : []),
  ];
};

const ask = async (
  { url, headers, model }: ProbeTarget,
  { content, more }: { content: unknown; more: object },
  signal: AbortSignal,
): Promise<Verdict> => {
  const body = { model, max_tokens: 1, stream: false, messages: [{ role: 'user', content }], ...more };
  try {
    const response = await openEngineRequest({
      ...{ url, headers, method: 'POST', body: JSON.stringify(body) },
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_LIMIT_MS)]),
    });
    const text = await readText(response, 64 * 1024);
    const status = response.statusCode ?? 0;
    if (status === 200) return 'yes';
    if (status !== 400 && status !== 404 && status !== 422) return 'unknown';
    return NO_CHAT.test(text) ? 'no_chat' : NO_TEMPLATE.test(text) ? 'no_template' : 'no';
  } catch {
    return 'unknown';
  }
};

/** Attempts to learn it, and how long to wait between them. */
const TRIES_LIMIT = 5;
const RETRY_MS = 60_000;

/** What was learned of one engine's models, asked once each and one at a time, beside everything else. Single writer of it. */
export class LearnedCapabilities {
  readonly #learned = new Map<string, readonly Capability[]>();
  readonly #tries = new Map<string, { count: number; atMs: number }>();
  #stop = new AbortController();
  #isAsking = false;

  of(model: string): readonly Capability[] | null {
    return this.#learned.get(model) ?? null;
  }

  /** Begins to ask if there is something to learn; what comes of it shows in `of`. */
  learn(target: ProbeTarget, nowMs = performance.now()): void {
    const tries = this.#tries.get(target.model) ?? { count: 0, atMs: Number.NEGATIVE_INFINITY };
    if (this.#isAsking || this.#learned.has(target.model) || tries.count >= TRIES_LIMIT || nowMs - tries.atMs < RETRY_MS) return;
    this.#isAsking = true;
    this.#tries.set(target.model, { count: tries.count + 1, atMs: nowMs });
    const { signal } = this.#stop;
    void probeCapabilities(target, signal).then((found) => {
      if (signal.aborted) return;
      this.#isAsking = false;
      if (found) this.#learned.set(target.model, found);
    });
  }

  /** The engine is gone; the next one may have been started otherwise. */
  forget(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#isAsking = false;
    this.#learned.clear();
    this.#tries.clear();
  }
}
