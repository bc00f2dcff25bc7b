import { describe, expect, it } from 'vitest';
import { cpuMsIn, rssBytesIn, sleepsIn, useOf } from './process-use.ts';

describe('what a process uses', () => {
  it('is read from what Linux prints', () => {
    expect(cpuMsIn('1500000 20 3\n')).toBe(1.5);
    expect(sleepsIn('Name:\tnode\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t7\n')).toBe(150);
    expect(rssBytesIn('VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n')).toBe(2_097_152);
  });

  it.runIf(process.platform === 'linux')('grows with work', () => {
    const before = useOf(process.pid);
    const started = process.cpuUsage();
    while (process.cpuUsage(started).user < 50_000);
    expect(useOf(process.pid).cpuMs - before.cpuMs).toBeGreaterThan(10);
    expect(before.rssBytes).toBeGreaterThan(1e6);
  });
});
