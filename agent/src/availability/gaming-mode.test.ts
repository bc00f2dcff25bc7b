import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { GamingReport } from '@lai/shared/node';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { GamingMode } from './gaming-mode.ts';
import { GamingPolicy } from './policy.ts';

const folder = () => {
  const made = mkdtempSync(path.join(tmpdir(), 'lai-gaming-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
};

const setUp = (dataDir = folder(), policy = GamingPolicy.parse({ enterMs: 0, leaveMs: 0 })) => {
  const told: string[] = [];
  const clock = { setByMs: 0 };
  const mode = new GamingMode({
    dataDir,
    policy: () => policy,
    onChange: ({ mode: is, isActive, cause }: GamingReport) => told.push(`${is} ${isActive ? cause : 'free'}`),
    log: pino({ level: 'silent' }),
    // The clock on the wall may be set; how long the machine is up may not.
    readClocks: () => ({ wallMs: Date.now() + clock.setByMs, upMs: Date.now() - 1_000 }),
  });
  mode.start();
  onTestFinished(() => mode.close());
  return { dataDir, mode, told, clock };
};
const doom = [{ source: 'steam' as const, name: 'doom', pid: 7 }];

describe('gaming mode', () => {
  it('begins and ends with what is seen, and is told once each', () => {
    const { mode, told } = setUp();
    mode.sees(doom, new Set());
    mode.sees(doom, new Set());
    mode.sees([], new Set());
    expect(told).toEqual(['auto doom', 'auto free']);
  });

  it('does not take our own engine for a game', () => {
    const { mode, told } = setUp();
    mode.sees(doom, new Set([7]));
    expect(told).toEqual([]);
  });

  it('does not look when the owner wants it so', () => {
    const { mode, told } = setUp(folder(), GamingPolicy.parse({ detect: false, enterMs: 0 }));
    mode.sees(doom, new Set());
    expect(told).toEqual([]);
  });

  it('takes the same wish of the operator, told with every connection, for one wish', () => {
    const { mode, told } = setUp();
    mode.operatorWishes({ mode: 'on', untilMs: null });
    mode.ownerWishes({ mode: 'off', untilMs: null });
    mode.operatorWishes({ mode: 'on', untilMs: null });
    expect(told).toEqual(['on operator', 'off free']);
    expect(mode.report.setBy).toBe('owner');
  });

  it('drops the operator’s wish when it is taken back', () => {
    const { mode } = setUp();
    mode.operatorWishes({ mode: 'on', untilMs: null });
    mode.operatorWishes(undefined);
    expect(mode.report).toMatchObject({ mode: 'auto', setBy: 'default', isActive: false });
  });

  it('remembers wishes over a restart, and tells at start that it is on', () => {
    const { dataDir, mode } = setUp();
    mode.ownerWishes({ mode: 'on', untilMs: null });
    mode.close();
    expect(setUp(dataDir).told).toEqual(['on owner']);
  });

  it('starts with a file that is of no use', () => {
    const dataDir = folder();
    writeFileSync(path.join(dataDir, 'gaming.json'), '{"owner":5}');
    expect(setUp(dataDir).mode.report.mode).toBe('auto');
  });

  it('ends by itself when its time is over', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { mode, told } = setUp();
    mode.ownerWishes({ mode: 'on', untilMs: Date.now() + 7_200_000 });
    vi.advanceTimersByTime(7_199_000);
    expect(told).toEqual(['on owner']);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(['on owner', 'auto free']);
  });

  const HOUR_MS = 3_600_000;

  it.each([2 * HOUR_MS, -2 * HOUR_MS, 0])(
    'keeps the operator’s wish as long as was asked where clocks differ by %i ms',
    (aheadMs) => {
      vi.useFakeTimers();
      onTestFinished(() => void vi.useRealTimers());
      const { mode, told } = setUp();
      mode.operatorWishes({ mode: 'on', untilMs: Date.now() - aheadMs + HOUR_MS, leftMs: HOUR_MS });
      vi.advanceTimersByTime(HOUR_MS - 20);
      expect(told).toEqual(['on operator']);
      vi.advanceTimersByTime(40);
      expect(told).toEqual(['on operator', 'auto free']);
    },
  );

  it.each([5 * HOUR_MS, -5 * HOUR_MS])(
    'lets a wish last as long as was asked when the clock is set by %i ms meanwhile',
    (byMs) => {
      vi.useFakeTimers();
      onTestFinished(() => void vi.useRealTimers());
      const { mode, told, clock } = setUp();
      mode.ownerWishes({ mode: 'on', untilMs: Date.now() + HOUR_MS });
      vi.advanceTimersByTime(HOUR_MS / 2);
      clock.setByMs = byMs;
      mode.review();
      vi.advanceTimersByTime(HOUR_MS / 2 - 100);
      expect(mode.report.untilMs).toBe(Date.now() + byMs + 100);
      vi.advanceTimersByTime(200);
      // The new end is news; the wish is the same.
      expect([...new Set(told)]).toEqual(['on owner', 'auto free']);
    },
  );

  it('goes by what is left when the coordinator tells the same wish again', () => {
    const { mode } = setUp();
    mode.operatorWishes({ mode: 'on', untilMs: 5, leftMs: HOUR_MS });
    mode.operatorWishes({ mode: 'on', untilMs: 5, leftMs: HOUR_MS / 2 });
    expect(mode.report.untilMs).toBeLessThanOrEqual(Date.now() + HOUR_MS / 2);
    mode.ownerWishes({ mode: 'off', untilMs: null });
    mode.operatorWishes({ mode: 'on', untilMs: 5, leftMs: HOUR_MS / 3 });
    expect(mode.report.setBy).toBe('owner');
  });

  it('waits for a game to stay and to be over', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { mode, told } = setUp(folder(), GamingPolicy.parse({}));
    mode.sees(doom, new Set());
    vi.advanceTimersByTime(4_900);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(200);
    expect(told).toEqual(['auto doom']);
    mode.sees([], new Set());
    vi.advanceTimersByTime(59_900);
    expect(told).toEqual(['auto doom']);
    vi.advanceTimersByTime(200);
    expect(told).toEqual(['auto doom', 'auto free']);
  });
});
