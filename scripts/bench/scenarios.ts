import { SLOTS } from './engine-answers.ts';
import type { LoadSpec, Pattern } from './load-spec.ts';

export type ScenarioName = 'ttft-1' | 'ttft-16' | 'ttft-64' | 'arrivals' | 'throughput' | 'relay' | 'streams';

/** One load that is put on both sides of a pair, round by round. */
export interface Scenario {
  readonly name: ScenarioName;
  readonly title: string;
  readonly rounds: number;
  readonly load: Omit<LoadSpec, 'endpoint' | 'pids'>;
  /** Lai alone, what it is to be compared with by this figure, or everything. */
  readonly for: readonly string[] | 'all';
  /** CPU of the target is the figure: the engine alone has none, so its rounds would be for nothing. */
  readonly isAlone?: true;
}

/** Answers of 16 tokens at 50 a second take 320 ms: 16 in flight are 50 requests a second, 64 are 200. */
const SHORT = { isStream: true, tokens: 16, tps: 50, firstTokenMs: 0 } as const;
const AT_ONCE = { tokens: 8, tps: 0, firstTokenMs: 0 } as const;

export const scenarios = (length: 'quick' | 'full'): readonly Scenario[] => {
  const isFull = length === 'full';
  const rounds = 5;
  const closed = (inFlight: number, fullMs: number, quickMs: number): Pattern => ({
    kind: 'closed',
    inFlight,
    durationMs: isFull ? fullMs : quickMs,
  });
  const all: Scenario[] = [
    {
      name: 'ttft-1',
      title: 'streaming, 1 in flight',
      rounds,
      for: 'all',
      load: { ...AT_ONCE, isStream: true, pattern: closed(1, 1_000, 300) },
    },
    {
      // Early, because memory is read in it: what a peak of requests leaves behind belongs to that peak.
      name: 'relay',
      title: '300 streams of 100 tokens/s',
      rounds: isFull ? 5 : 3,
      for: isFull ? 'all' : ['lai', 'node-proxy'],
      isAlone: true,
      load: held(300, 100, isFull ? 1_500 : 700),
    },
    {
      name: 'ttft-16',
      title: 'streaming, 16 in flight (50 requests/s)',
      rounds,
      for: ['lai'],
      load: { ...SHORT, pattern: closed(16, 2_000, 700) },
    },
    {
      name: 'ttft-64',
      title: 'streaming, 64 in flight (200 requests/s)',
      rounds,
      for: ['lai'],
      load: { ...SHORT, pattern: closed(64, 2_000, 700) },
    },
    {
      name: 'arrivals',
      title: 'streaming, 50 arrivals/s, about 16 in flight',
      rounds,
      for: isFull ? ['lai', 'nginx', 'portkey'] : ['lai'],
      load: { ...SHORT, pattern: { kind: 'open', perSecond: 50, durationMs: isFull ? 2_500 : 800, seed: 1 } },
    },
    {
      name: 'throughput',
      title: 'one JSON answer, 64 in flight',
      rounds,
      for: 'all',
      load: { tokens: 1, tps: 0, firstTokenMs: 0, isStream: false, pattern: closed(64, 1_200, 300) },
    },
  ];
  // What the quick run leaves out is answered roughly by `arrivals`.
  return all.filter(({ name }) => isFull || (name !== 'ttft-16' && name !== 'ttft-64'));
};

const SPREAD_LIMIT_MS = 1_000;
/** What first tokens of many streams may take on a busy machine; the streams must still be speaking when the window closes. */
const SLACK_MS = 700;

/** So many long streams at once; see Pattern. */
export const held = (streams: number, tps: number, windowMs: number): Scenario['load'] => ({
  isStream: true,
  tokens: Math.ceil(((Math.min(SPREAD_LIMIT_MS, streams * 2) + windowMs + SLACK_MS) * tps) / 1_000),
  tps,
  firstTokenMs: 0,
  pattern: { kind: 'held', streams, windowMs },
});

/** Steps of the ramp: 50 tokens a second each, until the gaps grow too long. */
export const ramp = (length: 'quick' | 'full') => ({
  tps: 50,
  windowMs: length === 'full' ? 1_500 : 800,
  steps: length === 'full' ? [100, 200, 300, 400, 600, 800, SLOTS] : [300, SLOTS],
  gapLimitMs: 50,
});
