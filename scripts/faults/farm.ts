import { join } from 'node:path';
import { Program } from '../e2e/program.ts';

/** How an engine of the farm is to be; see the mock engine's README for the notation of models and for tuning. */
export interface EnginePlan {
  readonly name: string;
  readonly models: string;
  readonly vramGb?: number;
  readonly tuning?: Readonly<Record<string, unknown>>;
  readonly dialect?: 'ollama' | 'llama-server' | 'vllm';
}

/** What an engine says of one request it got. */
export interface EngineRequest {
  readonly id: number;
  readonly route: string;
  readonly model: string;
  /** On this process's clock. */
  readonly startedAtMs: number;
  readonly state: 'waiting' | 'prefill' | 'generating' | 'done' | 'aborted' | 'refused' | 'failed';
  readonly tokens: number;
  readonly tokensAfterAbort: number;
  readonly endedAfterMs: number | null;
}

export interface EngineState {
  readonly requests: { readonly seen: number; readonly active: number; readonly aborted: number };
  readonly tokens: { readonly generated: number; readonly afterAbort: number };
  readonly models: readonly {
    readonly name: string;
    readonly phase: string;
    readonly slots: number;
    readonly slotsInUse: number;
    readonly maxSlotsInUse: number;
    readonly loads: { readonly started: number; readonly finished: number; readonly failed: number };
    readonly crashes: number;
  }[];
  readonly recent: readonly EngineRequest[];
}

/** One mock engine of the farm, by its levers. */
export class Engine {
  readonly name: string;
  readonly url: string;
  readonly #clockOffsetMs: number;

  constructor(name: string, url: string, clockOffsetMs: number) {
    this.name = name;
    this.url = url;
    this.#clockOffsetMs = clockOffsetMs;
  }

  async state(recent = 0): Promise<EngineState> {
    const state = (await (await fetch(`${this.url}/_mock/state?recent=${recent}`)).json()) as EngineState;
    const onOurClock = (request: EngineRequest) => ({ ...request, startedAtMs: request.startedAtMs + this.#clockOffsetMs });
    return { ...state, recent: recent === 0 ? [] : state.recent.map(onOurClock) };
  }

  arm(fault: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#pull('fault', fault);
  }

  tune(tuning: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#pull('set', tuning);
  }

  async clearFaults(): Promise<void> {
    await fetch(`${this.url}/_mock/fault`, { method: 'DELETE' });
  }

  async #pull(lever: string, body: unknown): Promise<void> {
    const response = await fetch(`${this.url}/_mock/${lever}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`the mock engine refused ${lever}: ${await response.text()}`);
  }
}

/** Engines for a whole fleet in one process: what is tested is not they, and a process each would take the machine. */
export const startFarm = async (plans: readonly EnginePlan[]): Promise<{ program: Program; engines: Engine[] }> => {
  const options = plans.map((plan) => ({ dialect: 'llama-server', vramGb: 8, allowFaults: true, ...plan }));
  const program = new Program('engines', [join(import.meta.dirname, 'engine-farm.ts'), JSON.stringify(options)]);
  const { urls, timeOrigin } = JSON.parse(await program.until(/^\{"urls"/)) as { urls: string[]; timeOrigin: number };
  const offsetMs = timeOrigin - performance.timeOrigin;
  return { program, engines: plans.map((plan, index) => new Engine(plan.name, urls[index] ?? '', offsetMs)) };
};
