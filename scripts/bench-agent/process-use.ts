/** What a process uses, over all its threads, from /proc. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessUse {
  /** Time on a CPU, from schedstat: nanoseconds, where stat counts hundredths of a second. */
  readonly cpuMs: number;
  /** Times that a thread went to sleep by itself: each is a wake-up later. */
  readonly sleeps: number;
  readonly rssBytes: number;
}

/** `12345678 901 234`: nanoseconds on the CPU, nanoseconds waiting, turns. */
export const cpuMsIn = (schedstat: string): number => Number(schedstat.split(' ')[0]) / 1e6;

export const sleepsIn = (status: string): number => Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1] ?? 0);

export const rssBytesIn = (status: string): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;

export const useOf = (pid: number): ProcessUse => {
  const threads = readdirSync(`/proc/${pid}/task`);
  const sum = (read: (thread: string) => number) =>
    threads.reduce((total, thread) => total + read(`/proc/${pid}/task/${thread}`), 0);
  return {
    cpuMs: sum((thread) => cpuMsIn(readFileSync(`${thread}/schedstat`, 'latin1'))),
    sleeps: sum((thread) => sleepsIn(readFileSync(`${thread}/status`, 'latin1'))),
    rssBytes: rssBytesIn(readFileSync(`/proc/${pid}/status`, 'latin1')),
  };
};
