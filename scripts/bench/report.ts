/** The page that a run prints. */
import { cpuMsPerAnswer, cpuShare, cpuSPerMillionTokens, over, requestsPerS, rssMb } from './figures.ts';
import type { LoadResult } from './load-spec.ts';
import { figure, type PairedRounds, trouble } from './pairs.ts';
import { pairsOf, type RunRecord } from './run-record.ts';
import { median } from './statistics.ts';
import { number, ratio, signed, table } from './table.ts';
import { verdicts } from './verdicts.ts';

export const report = (run: RunRecord): string =>
  [
    circumstances(run),
    ...(run.absent.length > 0 ? [run.absent.map((sentence) => `Left out: ${sentence}`).join('\n')] : []),
    ...latency(run),
    ...throughput(run),
    ...relay(run),
    ...streams(run),
    ...memory(run),
    ...failures(run),
    targets(run),
    'What these figures do not say: scripts/bench/README.md',
  ].join('\n\n');

/** Starved programs do more per wake-up: their CPU per token falls by a third, their latency rises. */
const DISTURBING_CORES = 0.3;

export const circumstances = ({ conditions: at, length, isAgentApart, targets }: Omit<RunRecord, 'absent'>): string => {
  const pinned = at.isPinned
    ? `target on core 0, engine and load generator on core 1; Lai's agent on core ${isAgentApart ? '1, beside its engine' : '0 too'}`
    : 'nothing is pinned to a core here (no taskset, or one core only)';
  const others = at.otherCores === null ? '' : `; other programs kept ${number(at.otherCores)} cores busy`;
  const disturbed =
    at.otherCores !== null && at.otherCores > DISTURBING_CORES
      ? [
          'DISTURBED: other programs took much of this machine. Added times hold roughly; compare nothing else, and repeat the run.',
        ]
      : [];
  return [
    `Lai ${at.commit}, ${at.date}, ${length} run of ${Math.round(at.durationS)} s`,
    `${at.cores} cores of ${at.cpu}, ${at.memoryGb} GB, ${at.kernel}, Node ${at.node}, Redis ${at.redis}`,
    `load average ${number(at.loadAverage.before)} before, ${number(at.loadAverage.after)} after${others}`,
    `${pinned}; everything over loopback`,
    ...disturbed,
    `beside: ${targets.map(({ name, version }) => `${name} (${version})`).join(', ')}`,
  ].join('\n');
};

/** Rows for every target that ran a scenario well; the ones with errors are listed by `failures`. */
const fine = (run: RunRecord, scenario: PairedRounds['scenario']): PairedRounds[] =>
  run.targets.flatMap((target) => {
    const pairs = pairsOf(target, scenario);
    return pairs && trouble([...pairs.subject.rounds, ...pairs.baseline.rounds]) === null ? [pairs] : [];
  });

const section = (title: string, head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  rows.length === 0 ? [] : [`${title}\n\n${table(head, rows)}`];

const latency = (run: RunRecord): string[] =>
  (['ttft-1', 'ttft-16', 'ttft-64', 'arrivals'] as const).flatMap((scenario) => {
    const all = fine(run, scenario);
    const rows = all.map((pairs) => {
      const [p50, p95, p99] = (['p50', 'p95', 'p99'] as const).map((key) =>
        figure(pairs, (result) => result.firstContentMs[key]),
      );
      if (!p50 || !p95 || !p99) return [];
      return [
        pairs.subject.name,
        number(p50.baseline),
        number(p50.subject),
        signed(p50.difference),
        `${number(p50.differences[0])} to ${number(p50.differences[1])}`,
        signed(p95.difference),
        signed(p99.difference),
      ];
    });
    const head = ['ms', 'direct p50', 'p50', 'added p50', 'rounds', 'added p95', 'added p99'];
    return section(`Time to first token, ${all[0]?.title}`, head, rows);
  });

const throughput = (run: RunRecord): string[] => {
  const all = fine(run, 'throughput');
  const rows = all.flatMap((pairs) => {
    const { rounds } = pairs.subject;
    const costs = (names?: readonly string[]) => [
      number(over(rounds, (result) => cpuMsPerAnswer(result, names))),
      number(over(rounds, (result) => cpuShare(result, names))),
    ];
    const perS = figure(pairs, requestsPerS);
    return [
      [pairs.subject.name, number(perS.subject), ratio(perS.ratio), ...costs()],
      ...parts(rounds).map((part) => [`  ${part}`, '', '', ...costs([part])]),
    ];
  });
  const ceiling = median(all.map((pairs) => over(pairs.baseline.rounds, requestsPerS)));
  const head = ['', 'answers/s', 'of direct', 'CPU ms per answer', 'cores used'];
  return section(`JSON answers, 64 in flight (engine and load generator alone: ${number(ceiling)}/s)`, head, rows);
};

/** Processes of a target that has several. */
const parts = (rounds: readonly LoadResult[]): string[] => {
  const names = Object.keys(rounds[0]?.processes ?? {});
  return names.length > 1 ? names : [];
};

const relay = (run: RunRecord): string[] => {
  const proxy = fine(run, 'relay').find((pairs) => pairs.subject.name === 'node-proxy');
  const ofProxy = proxy ? over(proxy.subject.rounds, (result) => cpuSPerMillionTokens(result)) : Number.NaN;
  const rows = fine(run, 'relay').flatMap(({ subject }) => {
    const row = (name: string, names?: readonly string[]) => {
      const seconds = over(subject.rounds, (result) => cpuSPerMillionTokens(result, names));
      const share = over(subject.rounds, (result) => cpuShare(result, names));
      const gap = names ? '' : number(over(subject.rounds, (result) => result.gapMs.p99));
      return [name, number(seconds), ratio(seconds / ofProxy), number(share), gap];
    };
    return [row(subject.name), ...parts(subject.rounds).map((part) => row(`  ${part}`, [part]))];
  });
  const head = ['', 'CPU s per million tokens', 'of node-proxy', 'cores used', 'p99 gap ms'];
  return section('Relay, 300 streams of 100 tokens/s', head, rows);
};

const streams = (run: RunRecord): string[] =>
  run.targets.flatMap(({ name, ramp }) => {
    if (!ramp) return [];
    const cell = (result: LoadResult) => (Object.keys(result.errors).length > 0 ? 'errors' : number(result.gapMs.p99));
    const rows = ramp.steps.map(({ streams, baseline, subject }) => [
      String(streams),
      cell(baseline),
      cell(subject),
      ...['coordinator', 'agent', 'redis'].map((part) => number(cpuShare(subject, [part]))),
      number(subject.ownCpuShare),
    ]);
    const head = ['streams', 'direct p99 gap', 'p99 gap ms', 'coordinator', 'agent', 'redis', 'load generator (cores)'];
    const end = ramp.endedBecause ?? `${number(ramp.gapLimitMs)} ms exceeded`;
    return section(`Streams of 50 tokens/s, ${name}: ${number(ramp.carried)} carried (${end})`, head, rows);
  });

const memory = (run: RunRecord): string[] => {
  const rows = run.targets.flatMap((target) => {
    const rounds = pairsOf(target, 'relay')?.subject.rounds ?? [];
    return Object.entries(target.idleRssMb).map(([part, idle]) => [
      target.name === part ? part : `${target.name} ${part}`,
      number(idle),
      number(rssMb(rounds, part)),
    ]);
  });
  return section('Memory, resident', ['MB', 'idle', '300 streams'], rows);
};

/** Whatever did not end as it should, loudly: its numbers stand in no table. */
export const failures = ({ targets }: Pick<RunRecord, 'targets'>): string[] => {
  const lines = targets.flatMap(({ name, pairs }) =>
    pairs.flatMap(({ title, baseline, subject }) => {
      const [ours, engine] = [trouble(subject.rounds), trouble(baseline.rounds)];
      return [
        ...(ours ? [`NOT OK: ${name}, ${title}: ${ours}`] : []),
        ...(engine ? [`NOT OK: ${baseline.name} beside ${name}, ${title}: ${engine}`] : []),
      ];
    }),
  );
  return lines.length > 0 ? [lines.join('\n')] : [];
};

const targets = (run: RunRecord): string => {
  const rows = verdicts(run).map(({ figure: name, target, measured, isMet }) => [
    name,
    target,
    measured,
    isMet === null ? '-' : isMet ? 'met' : 'NOT met',
  ]);
  return `Targets\n\n${table(['', 'target', 'measured', ''], rows)}`;
};
