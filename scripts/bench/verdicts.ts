/** The figures that Lai is to reach, and whether it does. The reasons for each are in README.md. */
import { cpuMsPerAnswer, cpuSPerMillionTokens, over, requestsPerS, rssMb } from './figures.ts';
import type { LoadResult } from './load-spec.ts';
import { figure, type PairedRounds, trouble } from './pairs.ts';
import { type Measured, pairsOf, type RunRecord } from './run-record.ts';
import { number, ratio } from './table.ts';

export interface Verdict {
  readonly figure: string;
  readonly target: string;
  readonly measured: string;
  readonly isMet: boolean | null;
}

const NOTHING = { measured: 'not measured', isMet: null } as const;

type Judge = (lai: PairedRounds) => { measured: string; isMet: boolean | null };

/** Of rounds with errors nothing is said but that. */
const judged = (name: string, target: string, pairs: PairedRounds | undefined, judge: Judge): Verdict => {
  if (!pairs) return { figure: name, target, ...NOTHING };
  const problem = trouble(pairs.subject.rounds);
  return { figure: name, target, ...(problem ? { measured: problem, isMet: false } : judge(pairs)) };
};

const beside = (rival: PairedRounds | undefined, read: (rounds: readonly LoadResult[]) => number): number =>
  rival && trouble(rival.subject.rounds) === null ? read(rival.subject.rounds) : Number.NaN;

/** Two targets run minutes apart: what a core would do is compared, not what was left of it then. */
const answersPerCpuS = (rounds: readonly LoadResult[]): number => 1_000 / over(rounds, (result) => cpuMsPerAnswer(result));

export const verdicts = ({ targets }: Pick<RunRecord, 'targets'>): Verdict[] => {
  const find = (name: string): Measured | undefined => targets.find((target) => target.name === name);
  const lai = find('lai');
  const coordinator = ['coordinator'];
  const relayCpu = (rounds: readonly LoadResult[], names?: readonly string[]) =>
    over(rounds, (result) => cpuSPerMillionTokens(result, names));
  const ofPortkey = beside(pairsOf(find('portkey'), 'throughput'), answersPerCpuS);
  const ofProxy = beside(pairsOf(find('node-proxy'), 'relay'), relayCpu);
  const compared = (value: number, other: number, isGood: (ratio: number) => boolean) =>
    Number.isNaN(other) ? NOTHING : { measured: ratio(value / other), isMet: isGood(value / other) };
  return [
    judged('added time to first token, p50, 1 in flight', '<= 1.5 ms', pairsOf(lai, 'ttft-1'), (pairs) => {
      const { difference } = figure(pairs, (result) => result.firstContentMs.p50);
      return { measured: `${number(difference)} ms`, isMet: difference <= 1.5 };
    }),
    judged('added time to first token, p99, 50 arrivals/s', '<= 15 ms', pairsOf(lai, 'arrivals'), (pairs) => {
      const { difference } = figure(pairs, (result) => result.firstContentMs.p99);
      return { measured: `${number(difference)} ms`, isMet: difference <= 15 };
    }),
    judged('JSON answers/s on one core, 64 in flight', '>= 4,000', pairsOf(lai, 'throughput'), ({ subject }) => {
      const perS = over(subject.rounds, requestsPerS);
      return { measured: number(perS), isMet: perS >= 4_000 };
    }),
    judged("JSON answers per CPU second, beside Portkey's", '>= 2 x', pairsOf(lai, 'throughput'), ({ subject }) =>
      compared(answersPerCpuS(subject.rounds), ofPortkey, (times) => times >= 2),
    ),
    judged('coordinator CPU per million relayed tokens', '<= 12 s', pairsOf(lai, 'relay'), ({ subject }) => {
      const seconds = relayCpu(subject.rounds, coordinator);
      return { measured: `${number(seconds)} s`, isMet: seconds <= 12 };
    }),
    judged("the same, beside the plain Node proxy's", '<= 0.6 x', pairsOf(lai, 'relay'), ({ subject }) =>
      compared(relayCpu(subject.rounds, coordinator), ofProxy, (times) => times <= 0.6),
    ),
    streamsVerdict(lai),
    idleVerdict(lai),
    judged('coordinator memory, 300 streams', '<= 180 MB', pairsOf(lai, 'relay'), ({ subject }) => {
      const mb = rssMb(subject.rounds, 'coordinator');
      return { measured: `${number(mb)} MB`, isMet: mb <= 180 };
    }),
  ];
};

const streamsVerdict = (lai: Measured | undefined): Verdict => {
  const name = 'streams of 50 tokens/s, p99 gap < 50 ms';
  const target = '>= 1,000';
  if (!lai?.ramp) return { figure: name, target, ...NOTHING };
  const { carried, endedBecause } = lai.ramp;
  const isMet = carried >= 1_000 ? true : endedBecause === null ? false : null;
  const why = endedBecause !== null && carried < 1_000 ? ` (${endedBecause})` : '';
  return { figure: name, target, measured: `${number(carried)}${why}`, isMet };
};

const idleVerdict = (lai: Measured | undefined): Verdict => {
  const mb = lai?.idleRssMb['coordinator'];
  const name = 'coordinator memory, idle';
  if (mb === undefined) return { figure: name, target: '<= 110 MB', ...NOTHING };
  return { figure: name, target: '<= 110 MB', measured: `${number(mb)} MB`, isMet: mb <= 110 };
};
