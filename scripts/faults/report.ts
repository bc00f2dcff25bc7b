import type { Conditions } from '../bench/conditions.ts';
import { number, table } from '../bench/table.ts';
import { type FaultResult, type Figure, isMissed } from './figures.ts';

export interface Report {
  readonly conditions: Conditions;
  readonly scale: number;
  readonly seed: number;
  readonly results: readonly FaultResult[];
  /** The faults that were asked for; null for all. */
  readonly only: readonly string[] | null;
  /** Faults that this machine cannot have, as sentences. */
  readonly absent: readonly string[];
}

/** Beyond this share of the cores, what others did shows in the latencies. */
const BUSY_SHARE = 0.1;

export const hasFailed = (result: FaultResult): boolean => result.misses.length > 0;

/** One page: what was done, how long it took to heal, what was lost, and how to see it again. */
export const page = (report: Report): string =>
  [
    heading(report),
    table(['fault', 'count', 'p50', 'p99', 'max', 'limit', 'lost', 'doubled', ''], report.results.flatMap(rowsOf)),
    section(
      'Failed',
      report.results.flatMap((result) => result.misses.map((miss) => `${result.id}: ${miss}`)),
    ),
    section(
      'Histories',
      report.results.flatMap((result) => (result.historyFile ? [`${result.id}: ${result.historyFile}`] : [])),
    ),
    section(
      'Notes',
      report.results.flatMap((result) => (result.notes ?? []).map((note) => `${result.id}: ${note}`)),
    ),
    section('Left out', report.absent),
    closing(report),
  ]
    .filter((part) => part !== '')
    .join('\n\n');

const rowsOf = (result: FaultResult): string[][] => {
  const verdict = hasFailed(result) ? 'FAILED' : 'held';
  const first = [
    `${result.id}  ${result.title}`,
    `${result.count} ${result.unit}`,
    ...['', '', '', ''],
    ...[String(result.lost), String(result.doubled), verdict],
  ];
  return [first, ...result.figures.map((one) => ['', '', '', '', '', ''].map((_, index) => figureCells(one)[index] ?? ''))];
};

const figureCells = (one: Figure): string[] => [
  `      ${one.name}`,
  String(one.summary.count),
  ms(one.summary.p50),
  ms(one.summary.p99),
  ms(one.summary.max),
  one.limit === null ? '' : `${one.limit.of} ≤ ${one.limit.ms}${isMissed(one) ? ' !' : ''}`,
];

const ms = (value: number): string => number(value);

const heading = ({ conditions, scale, seed }: Report): string => {
  const { date, commit, cores, cpu, memoryGb, kernel, node, redis } = conditions;
  return [
    `Faults at scale ${scale}, seed ${seed}, times in ms`,
    `${date}, commit ${commit}`,
    `${cores} × ${cpu}, ${memoryGb} GB, ${kernel}, Node ${node}, Redis ${redis}`,
  ].join('\n');
};

const closing = ({ conditions, scale, seed, only, results }: Report): string => {
  const { otherCores, cores, loadAverage, durationS } = conditions;
  const isBusy = otherCores !== null && otherCores > BUSY_SHARE * cores;
  const crowd =
    otherCores === null
      ? 'Whether other programs used the machine meanwhile is not known.'
      : `Other programs kept ${otherCores.toFixed(2)} cores busy meanwhile${isBusy ? ': latencies are inflated by that, counts are not' : ''}.`;
  const selection = only === null ? '' : ` --only ${only.join(',')}`;
  const failed = results.filter(hasFailed).map(({ id }) => id);
  return [
    `${Math.round(durationS)} s, load average ${loadAverage.before.toFixed(1)} before and ${loadAverage.after.toFixed(1)} after. ${crowd}`,
    `Again: npm run faults -- --scale ${scale} --seed ${seed}${selection}`,
    failed.length === 0 ? 'Every fault held.' : `${failed.length} of ${results.length} faults failed: ${failed.join(', ')}.`,
  ].join('\n');
};

const section = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}\n${lines.map((line) => `  ${line}`).join('\n')}`;
