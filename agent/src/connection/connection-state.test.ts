import { describe, expect, it } from 'vitest';
import { type ConnectionEvent, type ConnectionState, initialState, nextState } from './connection-state.ts';

type State = ConnectionState['kind'];
/** Rejections come in two kinds, and they end differently. */
type Event = Exclude<ConnectionEvent['kind'], 'rejected'> | 'rejected for now' | 'rejected for good';

const RANDOM = 0.5;

const states: { [K in State]: Extract<ConnectionState, { kind: K }> } = {
  waiting: { kind: 'waiting', failures: 2, waitMs: 700 },
  dialing: { kind: 'dialing', failures: 2 },
  greeting: { kind: 'greeting', failures: 2 },
  proving: { kind: 'proving', failures: 2 },
  open: { kind: 'open', epoch: 9 },
  refused: { kind: 'refused', reason: 'revoked', message: 'go away' },
};

const events: Record<Event, ConnectionEvent> = {
  dial: { kind: 'dial' },
  opened: { kind: 'opened' },
  challenged: { kind: 'challenged' },
  welcomed: { kind: 'welcomed', epoch: 10 },
  'rejected for now': { kind: 'rejected', reason: 'superseded', message: 'newer one', isFinal: false },
  'rejected for good': { kind: 'rejected', reason: 'unknown_node', message: 'who?', isFinal: true },
  goaway: { kind: 'goaway', spreadMs: 2_000 },
  lost: { kind: 'lost' },
};

const stay = 'stay';
const refused: ConnectionState = { kind: 'refused', reason: 'unknown_node', message: 'who?' };
/** Third failure in a row: half of min(30 s, 250 ms × 2^2). */
const lostAgain: ConnectionState = { kind: 'waiting', failures: 3, waitMs: 500 };
/** Longer than after a mere loss, because somebody said no. */
const rejectedAgain: ConnectionState = { kind: 'waiting', failures: 3, waitMs: 2_500 };
/** Longer still once there were some: whoever said it may not be the coordinator, but hardly changes their mind. */
const unproved: ConnectionState = { kind: 'waiting', failures: 3, waitMs: 4_000 };
const spread: ConnectionState = { kind: 'waiting', failures: 0, waitMs: 1_000 };

const table: Record<State, Record<Event, ConnectionState | typeof stay>> = {
  waiting: {
    dial: { kind: 'dialing', failures: 2 },
    opened: stay,
    challenged: stay,
    welcomed: stay,
    'rejected for now': rejectedAgain,
    'rejected for good': unproved,
    goaway: stay,
    lost: stay,
  },
  dialing: {
    dial: stay,
    opened: { kind: 'greeting', failures: 2 },
    challenged: stay,
    welcomed: stay,
    'rejected for now': rejectedAgain,
    'rejected for good': unproved,
    goaway: lostAgain,
    lost: lostAgain,
  },
  greeting: {
    dial: stay,
    opened: stay,
    challenged: { kind: 'proving', failures: 2 },
    // Without a challenge nobody has proved to be our coordinator.
    welcomed: stay,
    'rejected for now': rejectedAgain,
    'rejected for good': unproved,
    goaway: lostAgain,
    lost: lostAgain,
  },
  proving: {
    dial: stay,
    opened: stay,
    challenged: stay,
    welcomed: { kind: 'open', epoch: 10 },
    'rejected for now': rejectedAgain,
    'rejected for good': refused,
    goaway: spread,
    lost: lostAgain,
  },
  open: {
    dial: stay,
    opened: stay,
    challenged: stay,
    welcomed: stay,
    'rejected for now': { kind: 'waiting', failures: 1, waitMs: 1_000 },
    'rejected for good': refused,
    goaway: spread,
    // It stood, so its failures are forgotten: half of 250 ms.
    lost: { kind: 'waiting', failures: 1, waitMs: 125 },
  },
  refused: {
    dial: stay,
    opened: stay,
    challenged: stay,
    welcomed: stay,
    'rejected for now': stay,
    'rejected for good': stay,
    goaway: stay,
    lost: stay,
  },
};

describe.each(Object.keys(table) as State[])('a connection that is %s', (state) => {
  it.each(Object.entries(table[state]) as [Event, ConnectionState | typeof stay][])('when it is %s', (event, expected) => {
    const before = states[state];
    expect(nextState(before, events[event], RANDOM)).toEqual(expected === stay ? before : expected);
  });
});

describe('a connection', () => {
  const run = (names: readonly Event[], random = RANDOM): ConnectionState =>
    names.reduce((state, name) => nextState(state, events[name], random), initialState);

  it('begins by dialling at once', () => {
    expect(initialState).toEqual({ kind: 'waiting', failures: 0, waitMs: 0 });
  });

  it('reaches open only over every step', () => {
    const steps: Event[] = ['dial', 'opened', 'challenged', 'welcomed'];
    expect(run(steps)).toEqual({ kind: 'open', epoch: 10 });
    for (const left of steps) expect(run(steps.filter((step) => step !== left)).kind).not.toBe('open');
  });

  it('waits longer with each failure and forgets them all once it stood', () => {
    const failing: Event[] = ['dial', 'lost'];
    const waits = [1, 2, 3, 4].map((times) => run(Array.from({ length: times }, () => failing).flat()));
    expect(waits.map((state) => 'waitMs' in state && state.waitMs)).toEqual([125, 250, 500, 1_000]);
    expect(run([...failing, ...failing, 'dial', 'opened', 'challenged', 'welcomed', 'lost'])).toMatchObject({ failures: 1 });
  });

  it('waits longer with each connection that breaks soon after its welcome', () => {
    const open = run(['dial', 'opened', 'challenged', 'welcomed']);
    const waits = [0, 1, 2, 3, 4, 9].map((brief) => nextState(open, { kind: 'lost', brief }, RANDOM));
    expect(waits.map((state) => 'waitMs' in state && state.waitMs)).toEqual([125, 125, 250, 500, 1_000, 2_500]);
  });

  it('looks for its coordinator again within a minute, whatever that one said', () => {
    const open = run(['dial', 'opened', 'challenged', 'welcomed'], 0);
    for (const spreadMs of [2 ** 31, Number.MAX_SAFE_INTEGER])
      expect(nextState(open, { kind: 'goaway', spreadMs }, 0.999)).toEqual({ kind: 'waiting', failures: 0, waitMs: 59_940 });
  });

  it('is stopped for good only by who has proved to be its coordinator', () => {
    const steps: Event[] = ['dial', 'opened', 'challenged', 'welcomed'];
    const ends = steps.map((_, done) => run([...steps.slice(0, done + 1), 'rejected for good']).kind);
    expect(ends).toEqual(['waiting', 'waiting', 'refused', 'refused']);
  });

  it('asks once or twice a minute whoever has sent it away for good without being its coordinator', () => {
    const sentAway = run(Array.from({ length: 99 }, (): Event[] => ['dial', 'opened', 'rejected for good']).flat());
    expect(sentAway).toEqual({ kind: 'waiting', failures: 99, waitMs: 30_000 });
  });

  it('is not made to dial without a pause by whoever answers in place of its coordinator', () => {
    const turnedAway = run(Array.from({ length: 9 }, (): Event[] => ['dial', 'opened', 'goaway']).flat());
    expect(turnedAway).toEqual({ kind: 'waiting', failures: 9, waitMs: 2_500 });
  });

  it('comes back at its own time after a goaway', () => {
    expect(run(['dial', 'opened', 'challenged', 'welcomed', 'goaway'], 0)).toMatchObject({ waitMs: 0 });
    expect(run(['dial', 'opened', 'challenged', 'welcomed', 'goaway'], 0.999)).toMatchObject({ waitMs: 1_998 });
  });
});
