import { describe, expect, it } from 'vitest';
import { AWAY_MS, judgeLiveness, type Liveness, PING_BUSY_MS, PING_IDLE_MS, Pulse } from './liveness.ts';

describe('a node', () => {
  it.each<[number, Liveness, Liveness]>([
    // Unanswered pings, while it works, while it is idle.
    [0, 'alive', 'alive'],
    [1, 'alive', 'suspect'],
    [2, 'suspect', 'suspect'],
    [3, 'suspect', 'dead'],
    [4, 'dead', 'dead'],
    [5, 'dead', 'dead'],
    [1_000, 'dead', 'dead'],
  ])('with %i unanswered pings is %s while it works and %s while it is idle', (unanswered, busy, idle) => {
    expect(judgeLiveness(unanswered, true)).toBe(busy);
    expect(judgeLiveness(unanswered, false)).toBe(idle);
  });

  it('that works is given up within two seconds: somebody waits for it', () => {
    const pings = [0, 1, 2, 3, 4, 5].findIndex((unanswered) => judgeLiveness(unanswered, true) === 'dead');
    expect(pings * PING_BUSY_MS).toBeLessThanOrEqual(2_000);
  });

  it('that is idle is given up within a quarter of a minute', () => {
    const pings = [0, 1, 2, 3, 4, 5].findIndex((unanswered) => judgeLiveness(unanswered, false) === 'dead');
    expect(pings * PING_IDLE_MS).toBeLessThanOrEqual(15_000);
  });
});

describe('a pulse', () => {
  const start = () => {
    const time = { monotonicMs: 1_000, wallMs: 1_800_000_000_000 };
    const pulse = new Pulse({ monotonicMs: () => time.monotonicMs, wallMs: () => time.wallMs });
    const pass = (ms: number, clocks: (keyof typeof time)[] = ['monotonicMs', 'wallMs']) => {
      for (const clock of clocks) time[clock] += ms;
    };
    /** Pings as a session does: expected, waited for, sent. */
    const ping = ({ lateMs = 0, clocks }: { lateMs?: number; clocks?: (keyof typeof time)[] } = {}) => {
      pulse.expectIn(PING_BUSY_MS);
      pass(PING_BUSY_MS);
      pass(lateMs, clocks);
      return pulse.beat(true);
    };
    return { pulse, ping };
  };

  it('of a node that never answers ends in two seconds', () => {
    const { ping } = start();
    expect([ping(), ping(), ping(), ping(), ping()]).toEqual(['alive', 'alive', 'suspect', 'suspect', 'dead']);
  });

  it('starts again with every answer', () => {
    const { pulse, ping } = start();
    for (let round = 0; round < 10; round += 1) {
      expect([ping(), ping(), ping()]).toEqual(['alive', 'alive', 'suspect']);
      pulse.answered();
    }
  });

  it('is given the whole time again after we were away, in which the node is suspect', () => {
    const { pulse, ping } = start();
    expect([ping(), ping(), ping(), ping()]).toEqual(['alive', 'alive', 'suspect', 'suspect']);
    // Stopped for a minute: the answers are in the socket, unread.
    expect(ping({ lateMs: 60_000 })).toBe('suspect');
    expect([ping(), ping(), ping()]).toEqual(['alive', 'suspect', 'suspect']);
    expect(ping()).toBe('dead');
    pulse.answered();
    expect(ping({ lateMs: 60_000 })).toBe('suspect');
    pulse.answered();
    expect(ping()).toBe('alive');
  });

  it.each([['monotonicMs'], ['wallMs']] as const)(
    'notices that by %s alone: one clock may stand still while a machine sleeps',
    (clock) => {
      const { ping } = start();
      for (let count = 0; count < 4; count += 1) ping();
      expect(ping({ lateMs: 3_600_000, clocks: [clock] })).toBe('suspect');
    },
  );

  it('does not take a clock that was set back, or a little lateness, for absence', () => {
    const { ping } = start();
    for (let count = 0; count < 4; count += 1) ping({ lateMs: AWAY_MS - 1 });
    expect(ping({ lateMs: -3_600_000, clocks: ['wallMs'] })).toBe('dead');
  });
});
