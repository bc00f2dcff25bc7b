/** What a process has used, from /proc. Linux only; elsewhere there are no such figures, and the report says so. */
import { readdirSync, readFileSync } from 'node:fs';

/** Always 100 on Linux, whatever the kernel's own tick: `getconf CLK_TCK`. */
const TICKS_PER_S = 100;

export interface ProcessFigures {
  readonly cpuS: number;
  readonly rssMb: number;
}

/** User and system time from the text of /proc/PID/stat. The name in brackets may itself hold spaces and brackets. */
export const cpuInStat = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
};

export const parentInStat = (stat: string): number => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);

export const rssInStatus = (status: string): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;

/** Null when the process is gone or this is not Linux. */
export const readProcess = (pid: number): ProcessFigures | null => {
  try {
    const rssMb = rssInStatus(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return { cpuS: cpuInStat(readFileSync(`/proc/${pid}/stat`, 'latin1')), rssMb };
  } catch {
    return null;
  }
};

/** Children of a process, and theirs. */
export const descendants = (root: number): number[] => {
  const children = new Map<number, number[]>();
  for (const pid of allPids()) {
    try {
      const parent = parentInStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
      children.set(parent, [...(children.get(parent) ?? []), pid]);
    } catch {
      // ended meanwhile
    }
  }
  const found: number[] = [];
  for (let open = [root]; open.length > 0; ) {
    open = open.flatMap((pid) => children.get(pid) ?? []);
    found.push(...open);
  }
  return found;
};

const allPids = (): number[] => {
  try {
    return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  } catch {
    return [];
  }
};

export const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
};
