import { z } from 'zod';

/** What each one does is in README.md, beside where it comes from. */
export const FAULT_KINDS = [
  // before the request gets anywhere
  'busy',
  'loading',
  'error',
  'reset',
  // while the model loads
  'oom',
  // while it generates
  'hang',
  'stall',
  'slow',
  'crash',
  'exit',
  'poison',
  'end',
  'empty-delta',
  'ndjson-error',
  'sse-error',
  'raw-text',
  'garbage',
  'repeat-guard',
  'no-done',
  'ignore-abort',
  // on the wire
  'split',
  'coalesce',
  // elsewhere
  'stuck-unload',
  'pull-error',
  'disk-full',
  'sleep-crash',
  'refuse',
] as const;

export const FaultKind = z.enum(FAULT_KINDS);
export type FaultKind = z.infer<typeof FaultKind>;

/** Faults that belong to one inference request; the others are asked for by name where they apply. */
const ELSEWHERE: readonly FaultKind[] = ['oom', 'stuck-unload', 'pull-error', 'disk-full', 'sleep-crash', 'refuse'];

export const Fault = z.object({
  kind: FaultKind,
  /** Only requests for this model. */
  model: z.string().optional(),
  /** Strikes after that many tokens; 0 = before the first one. */
  afterTokens: z.number().int().nonnegative().default(0),
  /** How often; 0 = until it is cleared. */
  times: z.number().int().nonnegative().default(1),
  /** Duration, for `stall`, `slow` (per token) and `refuse`. */
  ms: z.number().nonnegative().optional(),
  /** `poison` strikes only when the prompt contains this. */
  text: z.string().default('#poison'),
  /** `poison` kills the model's runner or the whole process. */
  scope: z.enum(['runner', 'process']).default('runner'),
  exitCode: z.number().int().default(1),
});
export type Fault = z.infer<typeof Fault>;

interface Armed {
  readonly fault: Fault;
  left: number;
}

/** Armed faults, oldest first. Writers: the control routes and the tests that hold the engine. */
export class Faults {
  #armed: Armed[] = [];

  arm(fault: z.input<typeof Fault>): void {
    const parsed = Fault.parse(fault);
    this.#armed.push({ fault: parsed, left: parsed.times === 0 ? Number.POSITIVE_INFINITY : parsed.times });
  }

  clear(): void {
    this.#armed = [];
  }

  list(): (Fault & { left: number | null })[] {
    return this.#armed.map(({ fault, left }) => ({ ...fault, left: Number.isFinite(left) ? left : null }));
  }

  /** All that strike this inference request; each counts once. */
  claimForRequest(request: { model: string; prompt: string }): Fault[] {
    return this.#claim(
      ({ fault }) =>
        !ELSEWHERE.includes(fault.kind) &&
        matches(fault, request.model) &&
        (fault.kind !== 'poison' || request.prompt.includes(fault.text)),
    );
  }

  claim(kind: FaultKind, model?: string): Fault | null {
    let found = false;
    const claimed = this.#claim(({ fault }) => {
      if (found || fault.kind !== kind || !matches(fault, model)) return false;
      found = true;
      return true;
    });
    return claimed[0] ?? null;
  }

  #claim(wanted: (armed: Armed) => boolean): Fault[] {
    if (this.#armed.length === 0) return [];
    const struck = this.#armed.filter(wanted);
    for (const armed of struck) armed.left -= 1;
    this.#armed = this.#armed.filter((armed) => armed.left > 0);
    return struck.map((armed) => armed.fault);
  }
}

const matches = (fault: Fault, model: string | undefined): boolean => fault.model === undefined || fault.model === model;

const SPELLED = /^([a-z-]+)(?::(\d+))?(?::(\d+))?(?:@(\S+))?$/;

/** `kind[:afterTokens[:ms]][@engine]`; one that names another engine, or no known kind, is none. */
export const spelledFault = (text: string, engine: string): Fault | null => {
  const [, kind, afterTokens, ms, only] = SPELLED.exec(text.trim()) ?? [];
  const known = FaultKind.safeParse(kind);
  if (!known.success || (only !== undefined && only !== engine)) return null;
  // A request that carries `poison` carries the poison itself.
  return Fault.parse({
    kind: known.data,
    text: '',
    ...(afterTokens === undefined ? {} : { afterTokens: Number(afterTokens) }),
    ...(ms === undefined ? {} : { ms: Number(ms) }),
  });
};

/** Faults that a request carries for itself: header `x-lai-mock-fault: a:5, b` and `#fault=a:5` in its last user message. */
export const carriedFaults = (request: { header: string | undefined; lastUserText: string; engine: string }): Fault[] => {
  const marked = [...request.lastUserText.matchAll(/#fault=([a-z:@0-9A-Z._-]+)/g)].map((match) => match[1] ?? '');
  const headed = request.header?.split(',') ?? [];
  return [...headed, ...marked].map((text) => spelledFault(text, request.engine)).filter((fault) => fault !== null);
};
