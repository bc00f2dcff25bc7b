import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { run } from '../engines/command.ts';
import { canPin } from './program.ts';

/** Under what circumstances the figures were taken; without it they mean nothing. */
export interface Conditions {
  readonly date: string;
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly redis: string;
  readonly isPinned: boolean;
  readonly loadAverage: { readonly before: number; after: number };
  /** Cores that programs other than ours kept busy meanwhile; null where the kernel does not tell. */
  otherCores: number | null;
  durationS: number;
}

/** Seconds that all cores together were busy, from the text of /proc/stat; what other machines on the host took counts too. */
export const busyInStat = (stat: string): number => {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '')
    .split(' ')
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / 100;
};

/** What a process and the ended ones among its descendants have used, from the text of /proc/PID/stat. */
export const familyCpuInStat = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
};

const read = (file: string): string | null => {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return null;
  }
};

const busyElsewhere = (): number | null => {
  const [all, ours] = [read('/proc/stat'), read('/proc/self/stat')];
  return all === null || ours === null ? null : busyInStat(all) - familyCpuInStat(ours);
};

/** `finish` is to be called when everything that was started has ended: only then does the kernel count it as ours. */
export const noteConditions = async (root: string): Promise<{ conditions: Conditions; finish(): void }> => {
  const [head, changes, redis] = await Promise.all([
    run('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, limitMs: 10_000 }),
    run('git', ['status', '--porcelain', '--', 'coordinator/src', 'agent/src', 'shared/src'], { cwd: root, limitMs: 10_000 }),
    run('redis-server', ['--version'], { limitMs: 10_000 }),
  ]);
  const startedMs = performance.now();
  const busyBefore = busyElsewhere();
  const conditions: Conditions = {
    date: new Date().toISOString(),
    commit: head.ok ? `${head.stdout}${changes.stdout === '' ? '' : ' with uncommitted changes'}` : 'unknown',
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    redis: /v=(\S+)/.exec(redis.stdout)?.[1] ?? 'unknown',
    isPinned: canPin(),
    loadAverage: { before: loadavg()[0] ?? 0, after: 0 },
    otherCores: null,
    durationS: 0,
  };
  const finish = () => {
    conditions.durationS = (performance.now() - startedMs) / 1_000;
    conditions.loadAverage.after = loadavg()[0] ?? 0;
    const busyAfter = busyElsewhere();
    if (busyBefore !== null && busyAfter !== null)
      conditions.otherCores = Math.max(0, busyAfter - busyBefore) / conditions.durationS;
  };
  return { conditions, finish };
};
