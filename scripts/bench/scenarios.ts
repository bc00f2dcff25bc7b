import { SLOTS } from './engine-answers.ts';
import type { LoadSpec, Pattern } from './load-spec.ts';

export type ScenarioName = 'ttft-1' | 'ttft-16' | 'ttft-64' | 'arrivals' | 'throughput' | 'relay' | 'streams';

/** One load that is put on both sides of a pair, round by round. */
export interface Scenario {
  readonly name: ScenarioName;
  readonly title: string;
  readonly rounds: number;
  readonly load: Omit<LoadSpec, 'endpoint' | 'pids'>;
  /** Lai alone, or everything it is compared with as well. */
  readonly for: 'all' | 'lai';
}

/** Answers of 16 tokens at 50 a second take 320 ms: 16 in flight are 50 requests a second, 64 are 200. */
const SHORT = { isStream: true, tokens: 16, tps: 50, firstTokenMs: 0 } as const;
const AT_ONCE = { tokens: 8, tps: 0, firstTokenMs: 0 } as const;

export const scenarios = (length: 'quick' | 'full'): readonly Scenario[] => {
  const isFull = length === 'full';
  const rounds = isFull ? 7 : 5;
  const closed = (inFlight: number, fullMs: number, quickMs: number): Pattern => ({
    kind: 'closed',
    inFlight,
    durationMs: isFull ? fullMs : quickMs,
  });
  return [
    {
      name: 'ttft-1',
      title: 'streaming, 1 in flight',
      rounds,
      for: 'all',
      load: { ...AT_ONCE, isStream: true, pattern: closed(1, 1_000, 300) },
    },
    {
      name: 'ttft-16',
      title: 'streaming, 16 in flight (50 requests/s)',
      rounds,
      for: 'lai',
      load: { ...SHORT, pattern: closed(16, 2_000, 700) },
    },
    {
      name: 'ttft-64',
      title: 'streaming, 64 in flight (200 requests/s)',
      rounds,
      for: 'lai',
      load: { ...SHORT, pattern: closed(64, 2_000, 700) },
    },
    {
      name: 'arrivals',
      title: 'streaming, 50 arrivals/s, about 16 in flight',
      rounds,
      for: isFull ? 'all' : 'lai',
      load: { ...SHORT, pattern: { kind: 'open', perSecond: 50, durationMs: isFull ? 3_000 : 1_000, seed: 1 } },
    },
    {
      name: 'throughput',
      title: 'one JSON answer, 64 in flight',
      rounds,
      for: 'all',
      load: { tokens: 1, tps: 0, firstTokenMs: 0, isStream: false, pattern: closed(64, 1_200, 400) },
    },
    {
      name: 'relay',
      title: '300 streams of 100 tokens/s',
      rounds: isFull ? 5 : 3,
      for: 'all',
      load: held(300, 100, isFull ? 1_500 : 700),
    },
  ];
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
  steps: length === 'full' ? [50, 100, 200, 300, 400, 600, 800, SLOTS] : [100, 300, 600, SLOTS],
  gapLimitMs: 50,
});
