import { describe, expect, it } from 'vitest';
import { tendency } from './ab.ts';
import type { LoadResult } from './load-spec.ts';
import { figure, type PairedRounds, trouble } from './pairs.ts';
import { failures, report } from './report.ts';
import type { Measured, RunRecord } from './run-record.ts';
import { verdicts } from './verdicts.ts';

const summary = (p50: number) => ({ count: 100, p50, p95: p50 * 2, p99: p50 * 3, max: p50 * 4 });

const result = (firstMs: number, more: Partial<LoadResult> = {}): LoadResult => ({
  completed: 1_000,
  measuredMs: 1_000,
  tokens: 100_000,
  headersMs: summary(firstMs),
  firstContentMs: summary(firstMs),
  totalMs: summary(firstMs),
  gapMs: summary(10),
  errors: {},
  processes: { coordinator: { cpuS: 0.5, rssMb: 150 }, agent: { cpuS: 0.5, rssMb: 90 } },
  ownCpuShare: 0.1,
  ...more,
});

const rounds = (scenario: PairedRounds['scenario'], name: string, subject: readonly LoadResult[]): PairedRounds => ({
  scenario,
  title: scenario,
  baseline: { name: 'direct', rounds: subject.map(() => result(0.1, { processes: { engine: { cpuS: 0.1, rssMb: 80 } } })) },
  subject: { name, rounds: subject },
});

const target = (name: string, pairs: readonly PairedRounds[], more: Partial<Measured> = {}): Measured => ({
  name,
  version: '1',
  idleRssMb: { coordinator: 100 },
  pairs,
  ramp: null,
  ...more,
});

const run = (targets: readonly Measured[]): RunRecord => ({
  conditions: {
    date: '2026-01-01',
    commit: 'abc',
    cpu: 'some CPU',
    cores: 2,
    memoryGb: 8,
    kernel: 'linux',
    node: 'v24',
    redis: '7',
    isPinned: true,
    loadAverage: { before: 0, after: 1 },
    otherCores: null,
    durationS: 60,
  },
  length: 'quick',
  isAgentApart: false,
  targets,
  absent: ['nginx: not here'],
});

const of = (targets: readonly Measured[], name: string) => verdicts({ targets }).find(({ figure: text }) => text.includes(name));

describe('verdicts', () => {
  it('judge what Lai adds to the engine, not what both take together', () => {
    const lai = target('lai', [rounds('ttft-1', 'lai', [result(1.5), result(1.5)])]);
    expect(of([lai], 'p50, 1 in flight')).toMatchObject({ measured: '1.40 ms', isMet: true });
    const slow = target('lai', [rounds('ttft-1', 'lai', [result(1.7), result(1.7)])]);
    expect(of([slow], 'p50, 1 in flight')).toMatchObject({ isMet: false });
  });

  it('call nothing met that was not measured', () => {
    for (const { isMet } of verdicts({ targets: [target('lai', [], { idleRssMb: {} })] })) expect(isMet).toBeNull();
  });

  it('compare with others only when they ran without errors', () => {
    const ofThroughput = (name: string, completed: number, errors = {}) =>
      target(name, [rounds('throughput', name, [result(1, { completed, errors })])]);
    const lai = ofThroughput('lai', 5_000);
    expect(of([lai, ofThroughput('portkey', 2_000)], 'Portkey')).toMatchObject({ measured: '2.50 x', isMet: true });
    expect(of([lai, ofThroughput('portkey', 3_000)], 'Portkey')).toMatchObject({ isMet: false });
    expect(of([lai, ofThroughput('portkey', 10, { 'HTTP 500': 90 })], 'Portkey')).toMatchObject({ isMet: null });
    expect(of([lai], 'Portkey')).toMatchObject({ isMet: null });
  });

  it("take the coordinator alone for the proxy's share", () => {
    const lai = target('lai', [rounds('relay', 'lai', [result(1)])]);
    expect(of([lai], 'per million relayed tokens')).toMatchObject({ measured: '5.00 s', isMet: true });
  });

  it('leave a ramp open that ended for reasons of the harness', () => {
    const ramp = (carried: number, endedBecause: string | null) =>
      of([target('lai', [], { ramp: { steps: [], gapLimitMs: 50, carried, endedBecause } })], 'streams of 50')?.isMet;
    expect(ramp(600, null)).toBe(false);
    expect(ramp(600, 'the harness itself does not carry 800 here')).toBeNull();
    expect(ramp(1_000, 'last step of the ramp')).toBe(true);
  });
});

describe('runs with errors', () => {
  const broken = run([target('lai', [rounds('ttft-1', 'lai', [result(1), result(1, { errors: { 'HTTP 503': 3, cut: 1 } })])])]);

  it('are never met, and stand in no table', () => {
    expect(of(broken.targets, 'p50, 1 in flight')).toMatchObject({ isMet: false });
    const page = report(broken);
    expect(page).toContain('NOT OK: lai, ttft-1: 4 of 2004 requests failed (HTTP 503: 3; cut: 1)');
    expect(page).not.toContain('Time to first token, ttft-1');
    expect(failures(broken)).toHaveLength(1);
  });

  it('a run in which nothing was answered is one of them', () => {
    expect(trouble([result(1, { completed: 0 })])).toBe('no request was answered');
    expect(trouble([result(1)])).toBeNull();
    expect(trouble([])).toBeNull();
  });
});

describe('the page', () => {
  it('names what was left out and shows differences to direct', () => {
    const page = report(run([target('lai', [rounds('ttft-1', 'lai', [result(2), result(2)])])]));
    expect(page).toContain('Left out: nginx: not here');
    expect(page).toMatch(/lai +0\.10 +2\.00 +\+1\.90/);
  });
});

describe('a disturbed run', () => {
  it('says so on its page', () => {
    const quiet = run([]);
    const loud = { ...quiet, conditions: { ...quiet.conditions, otherCores: 1.2 } };
    expect(report(loud)).toContain('DISTURBED');
    expect(report(quiet)).not.toContain('DISTURBED');
  });
});

describe('two commits', () => {
  it('differ when all rounds say so', () => {
    expect(tendency({ larger: 5, rounds: 5 }, false)).toBe('WORSE in every round');
    expect(tendency({ larger: 0, rounds: 5 }, false)).toBe('better in every round');
    expect(tendency({ larger: 5, rounds: 5 }, true)).toBe('better in every round');
    expect(tendency({ larger: 4, rounds: 5 }, false)).toBe('no difference seen');
    expect(tendency({ larger: 2, rounds: 2 }, false)).toBe('no difference seen');
  });

  it('are compared round by round', () => {
    const pairs = rounds('ttft-1', 'now', [result(0.2), result(0.1)]);
    expect(figure(pairs, ({ firstContentMs }) => firstContentMs.p50)).toMatchObject({ larger: 1, rounds: 2 });
  });
});
