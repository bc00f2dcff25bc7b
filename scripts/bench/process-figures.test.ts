import { describe, expect, it } from 'vitest';
import { cpuInStat, descendants, parentInStat, readProcess, rssInStatus } from './process-figures.ts';

const stat = '4711 (no de) (x) S 42 4711 13337 0 -1 4194304 98 0 0 0 250 50 9 9 20 0 11 0 347805 3133440 382 184 1 1 1 1';

describe('/proc', () => {
  it('user and system time are found behind a name with brackets and spaces', () => {
    expect(cpuInStat(stat)).toBe(3);
    expect(parentInStat(stat)).toBe(42);
  });

  it('resident memory is read in MiB', () => {
    expect(rssInStatus('Name:\tnode\nVmHWM:\t  300000 kB\nVmRSS:\t  102400 kB\nThreads:\t11\n')).toBe(100);
    expect(rssInStatus('Name:\tkthreadd\n')).toBeNaN();
  });

  it('a process that is gone has no figures', () => {
    expect(readProcess(2 ** 30)).toBeNull();
    expect(descendants(2 ** 30)).toEqual([]);
  });

  it.runIf(process.platform === 'linux')('our own process has some', () => {
    expect(readProcess(process.pid)?.rssMb).toBeGreaterThan(10);
    expect(readProcess(process.pid)?.cpuS).toBeGreaterThan(0);
    expect(descendants(process.ppid)).toContain(process.pid);
  });
});
