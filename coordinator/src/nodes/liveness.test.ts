import { describe, expect, it } from 'vitest';
import { judgeLiveness, type Liveness, PING_BUSY_MS, PING_IDLE_MS } from './liveness.ts';

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
