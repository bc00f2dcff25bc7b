export type RequestState = 'waiting' | 'prefill' | 'generating' | 'done' | 'aborted' | 'refused' | 'failed';

/** What became of one request; tests read these. */
export interface RequestRecord {
  readonly id: number;
  readonly route: string;
  readonly model: string;
  readonly startedAtMs: number;
  state: RequestState;
  tokens: number;
  /** Tokens generated although nobody was listening any more. An honest engine has at most 1. */
  tokensAfterAbort: number;
  faults: readonly string[];
  firstTokenAfterMs: number | null;
  endedAfterMs: number | null;
}

const KEPT_RECORDS = 1000;

/** Counts what the engine did. Writers: tickets and generations, through the methods below. */
export class Census {
  seen = 0;
  active = 0;
  tokens = 0;
  tokensAfterAbort = 0;
  promptTokens = 0;
  #ends = { done: 0, aborted: 0, refused: 0, failed: 0 };
  #records: RequestRecord[] = [];

  open(route: string, model: string): RequestRecord {
    this.seen += 1;
    this.active += 1;
    const record: RequestRecord = {
      id: this.seen,
      route,
      model,
      startedAtMs: performance.now(),
      state: 'waiting',
      tokens: 0,
      tokensAfterAbort: 0,
      faults: [],
      firstTokenAfterMs: null,
      endedAfterMs: null,
    };
    this.#records.push(record);
    if (this.#records.length > 2 * KEPT_RECORDS) this.#records = this.#records.slice(-KEPT_RECORDS);
    return record;
  }

  count(record: RequestRecord, tokens: number, isAborted: boolean): void {
    record.tokens += tokens;
    this.tokens += tokens;
    record.firstTokenAfterMs ??= sinceMs(record);
    if (!isAborted) return;
    record.tokensAfterAbort += tokens;
    this.tokensAfterAbort += tokens;
  }

  close(record: RequestRecord, end: 'done' | 'aborted' | 'refused' | 'failed'): void {
    if (record.endedAfterMs !== null) return;
    record.state = end;
    record.endedAfterMs = sinceMs(record);
    this.active -= 1;
    this.#ends[end] += 1;
  }

  summary(): Record<string, unknown> {
    return {
      requests: { seen: this.seen, active: this.active, ...this.#ends },
      tokens: { generated: this.tokens, afterAbort: this.tokensAfterAbort, prompt: this.promptTokens },
    };
  }

  recent(limit: number): readonly RequestRecord[] {
    return this.#records.slice(-limit);
  }
}

const sinceMs = (record: RequestRecord): number => Math.round((performance.now() - record.startedAtMs) * 10) / 10;
