/** What vLLM counts about itself; null where a version does not tell. Names: vllm/v1/metrics/loggers.py. */
export interface VllmFigures {
  readonly running: number | null;
  readonly waiting: number | null;
  /** 0 to 1. */
  readonly kvCacheUsage: number | null;
  readonly promptTokens: number | null;
  readonly generatedTokens: number | null;
  readonly preemptions: number | null;
  readonly sleepState: 'awake' | 'weights_offloaded' | 'discard_all' | null;
}

const LINE = /^(vllm:[a-z0-9_]+)(?:\{([^}]*)\})?\s+(\S+)/;
const SLEEP_STATE = /sleep_state="(awake|weights_offloaded|discard_all)"/;

/** Sums over engines, since a data-parallel vLLM has several. Prometheus text; lines of other programs are passed over. */
export const parseVllmMetrics = (text: string): VllmFigures => {
  const sums = new Map<string, number>();
  let sleepState: VllmFigures['sleepState'] = null;
  for (const line of text.split('\n')) {
    const [, name, labels = '', figure] = LINE.exec(line) ?? [];
    const value = Number(figure);
    if (name === undefined || !Number.isFinite(value)) continue;
    sums.set(name, (sums.get(name) ?? 0) + value);
    const state = SLEEP_STATE.exec(labels)?.[1] as VllmFigures['sleepState'] | undefined;
    if (name === 'vllm:engine_sleep_state' && value === 1 && state) sleepState = state;
  }
  const sum = (...names: string[]) => names.map((name) => sums.get(`vllm:${name}`)).find((value) => value !== undefined) ?? null;
  return {
    running: sum('num_requests_running'),
    waiting: sum('num_requests_waiting'),
    kvCacheUsage: sum('kv_cache_usage_perc', 'gpu_cache_usage_perc'),
    promptTokens: sum('prompt_tokens_total'),
    generatedTokens: sum('generation_tokens_total'),
    preemptions: sum('num_preemptions_total'),
    sleepState,
  };
};
