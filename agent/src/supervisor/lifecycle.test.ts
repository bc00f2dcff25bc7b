import { describe, expect, it } from 'vitest';
import {
  initialLifecycle,
  LIFECYCLE_LIMITS,
  type Lifecycle,
  type LifecycleEvent,
  nextLifecycle,
  type Phase,
} from './lifecycle.ts';

const NOW = 1_000_000;
const at = (phase: Phase, change: Partial<Lifecycle> = {}): Lifecycle => ({
  ...initialLifecycle('owned', 0),
  phase,
  isWanted: !['stopped', 'absent', 'away'].includes(phase),
  ...change,
});
const step = (life: Lifecycle, event: LifecycleEvent, nowMs = NOW) => nextLifecycle(life, event, { nowMs, random: 0.5 });

const start: LifecycleEvent = { kind: 'start' };
const stop: LifecycleEvent = { kind: 'stop', reason: 'gaming' };
const answered: LifecycleEvent = { kind: 'answered', version: '1.0' };
const silent: LifecycleEvent = { kind: 'silent', reason: 'no answer' };
const exited: LifecycleEvent = { kind: 'exited', how: 'ended with exit code 1' };
const hung: LifecycleEvent = { kind: 'hung', reason: 'hangs' };
const due: LifecycleEvent = { kind: 'due' };

describe('the life of an engine', () => {
  const ROWS: Record<string, Partial<Record<Phase, Phase>>> = {
    start: { stopped: 'starting', quarantined: 'starting' },
    stop: { starting: 'stopping', ready: 'stopping', silent: 'stopping', backoff: 'stopped', quarantined: 'stopped' },
    answered: { starting: 'ready', silent: 'ready', absent: 'ready', away: 'ready' },
    silent: { ready: 'silent' },
    exited: { starting: 'backoff', ready: 'backoff', silent: 'backoff', stopping: 'starting' },
    hung: { ready: 'stopping', silent: 'stopping' },
    due: { backoff: 'starting', quarantined: 'starting' },
  };
  const EVENTS = { start, stop, answered, silent, exited, hung, due };
  const PHASES: Phase[] = ['stopped', 'starting', 'ready', 'silent', 'stopping', 'backoff', 'quarantined', 'absent', 'away'];

  it.each(
    Object.entries(EVENTS).flatMap(([name, event]) =>
      PHASES.map((phase) => ({ phase, name, event, next: ROWS[name]?.[phase] ?? phase })),
    ),
  )('$phase, $name → $next', ({ phase, event, next }) => {
    expect(step(at(phase), event).phase).toBe(next);
  });

  it('of an adopted one ends in "away" when it falls silent: it is not ours to start', () => {
    const adopted = step(initialLifecycle('adopted', 0), answered);
    expect(adopted.phase).toBe('ready');
    expect(step(adopted, silent)).toMatchObject({ phase: 'away', reason: 'no answer' });
    expect(step(adopted, hung)).toEqual(adopted);
    expect(step(step(adopted, silent), answered)).toMatchObject({ phase: 'ready', reason: null });
  });

  it('knows the new version when another one answers', () => {
    const ready = step(at('starting'), answered);
    expect(step(ready, { kind: 'answered', version: '1.1' })).toMatchObject({
      phase: 'ready',
      version: '1.1',
      sinceMs: ready.sinceMs,
    });
    expect(step(ready, { kind: 'answered', version: null }).version).toBe('1.0');
  });

  it('goes on when a start comes while it is being stopped, and ends when a stop comes while it is being restarted', () => {
    expect(step(step(step(at('ready'), stop), start), exited).phase).toBe('starting');
    expect(step(step(step(at('ready'), hung), stop), exited).phase).toBe('stopped');
    expect(step(step(at('ready'), stop), exited)).toMatchObject({ phase: 'stopped', reason: 'gaming' });
  });

  it('waits longer after each death', () => {
    const waits: number[] = [];
    let life = at('starting');
    for (let deaths = 1; deaths < LIFECYCLE_LIMITS.crashCap; deaths += 1) {
      life = step(life, exited);
      waits.push((life.dueAtMs ?? 0) - NOW);
      life = step(life, due);
    }
    // Half of 1, 2, 4 and 8 s.
    expect(waits).toEqual([500, 1_000, 2_000, 4_000]);
  });

  const crashLoop = (gapMs: number) => {
    let life = at('starting');
    let nowMs = NOW;
    for (let deaths = 0; deaths < LIFECYCLE_LIMITS.crashCap; deaths += 1) {
      life = step(step(life, due, nowMs), exited, nowMs);
      nowMs += gapMs;
    }
    return { life, nowMs };
  };

  it('is quarantined when it dies again and again, and says why', () => {
    const { life } = crashLoop(1_000);
    expect(life).toMatchObject({ phase: 'quarantined', dueAtMs: NOW + 4_000 + LIFECYCLE_LIMITS.quarantineMs });
    expect(life.reason).toBe('it died 5 times within 10 minutes and is left alone for now; last: ended with exit code 1');
  });

  it('is not quarantined for deaths that lie far apart', () => {
    expect(crashLoop(LIFECYCLE_LIMITS.crashWindowMs / 2).life.phase).toBe('backoff');
  });

  it('gets one more try after the quarantine, and goes straight back when that fails', () => {
    const { life } = crashLoop(1_000);
    const later = NOW + 4_000 + LIFECYCLE_LIMITS.quarantineMs;
    const again = step(life, due, later);
    expect(again.phase).toBe('starting');
    expect(step(again, exited, later + 1_000).phase).toBe('quarantined');
  });

  it('forgets its deaths when somebody starts it by hand', () => {
    expect(step(crashLoop(1_000).life, start)).toMatchObject({ phase: 'starting', deathsAtMs: [], isWanted: true });
  });
});
