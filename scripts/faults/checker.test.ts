import { describe, expect, it } from 'vitest';
import { checkHistory, type Invariant } from './checker.ts';
import type { Fail, HistoryEvent, Ok } from './history.ts';

const ok = (change: Partial<Ok> = {}): Ok => ({
  type: 'ok',
  atMs: 900,
  request: 'r-1',
  firstContentMs: 300,
  node: 'left',
  signatures: ['left'],
  finishReason: 'length',
  pieces: 20,
  usageTokens: 20,
  ...change,
});
const fail = (change: Partial<Fail> = {}): Fail => ({
  type: 'fail',
  atMs: 900,
  request: 'r-2',
  how: 'event',
  code: 'node_lost',
  errorEvents: 1,
  hasDone: false,
  signatures: ['left'],
  isExcused: false,
  ...change,
});
const invoke = (request: string): HistoryEvent => ({ type: 'invoke', atMs: 10, request, deadlineMs: 60_000 });
const info = (event: Record<string, unknown>): HistoryEvent => ({ type: 'info', atMs: 2_000, ...event }) as HistoryEvent;

/** A run in which everything is as it should be; the doctored ones differ from it in one thing. */
const honest = ({
  first = ok(),
  second = fail(),
  more = [],
}: {
  first?: Ok | Fail | null;
  second?: Ok | Fail | null;
  more?: readonly HistoryEvent[];
} = {}): HistoryEvent[] => [
  invoke('r-1'),
  invoke('r-2'),
  info({ atMs: 20, what: 'dispatch', request: 'r-1', attempt: 'a', node: 'right', link: 'right/1' }),
  info({ atMs: 100, what: 'cut', node: 'right', link: 'right/1', why: 'kill -9' }),
  info({ atMs: 120, what: 'dispatch', request: 'r-1', attempt: 'b', node: 'left', link: 'left/1' }),
  ...(first ? [first] : []),
  ...(second ? [second] : []),
  info({ what: 'exit', program: 'agent right', how: 'SIGKILL', isInjected: true }),
  info({ what: 'quiet', running: 0, waiting: 0 }),
  info({ what: 'slots', node: 'left', leased: 0, attempts: [], inUse: 0, maxInUse: 4, limit: 4 }),
  info({ what: 'capacity', node: 'left', believed: ['b', 'a'], true: ['a', 'b'], settledMs: 200, limitMs: 5_000 }),
  info({ what: 'gauge', name: 'keys in Redis', before: 100, after: 108, slack: 5 }),
  info({ what: 'job.accepted', job: 'j-1' }),
  info({ what: 'job.ended', job: 'j-1', state: 'completed', result: 'abc' }),
  info({ what: 'ledger', request: 'r-1', attempt: 'b', tokens: 20 }),
  ...more,
];

describe('the checker', () => {
  it('finds nothing wrong with an honest history', () => {
    expect(checkHistory(honest())).toEqual([]);
  });

  const doctored: [Invariant, string, HistoryEvent[]][] = [
    ['I1', 'an accepted job that never ended', honest({ more: [info({ what: 'job.accepted', job: 'j-2' })] })],
    [
      'I1',
      'a job with two results',
      honest({ more: [info({ what: 'job.ended', job: 'j-1', state: 'completed', result: 'xyz' })] }),
    ],
    ['I2', 'an attempt booked twice', honest({ more: [info({ what: 'ledger', request: 'r-1', attempt: 'b', tokens: 0 })] })],
    [
      'I2',
      'another attempt booked as well',
      honest({ more: [info({ what: 'ledger', request: 'r-1', attempt: 'a', tokens: 7 })] }),
    ],
    ['I3', 'a request without an end', honest({ second: null })],
    ['I3', 'a request that hangs', honest({ second: fail({ how: 'hang' }) })],
    ['I3', 'a request that ended twice', honest({ more: [ok()] })],
    ['I3', 'an end long after the deadline', honest({ second: fail({ atMs: 61_200 }) })],
    ['I3', 'an end that nobody asked for', honest({ more: [fail({ request: 'r-9' })] })],
    ['I4', 'two answers in one', honest({ first: ok({ signatures: ['right', 'left'] }) })],
    ['I4', 'two answers before an error', honest({ second: fail({ signatures: ['right', 'right'] }) })],
    ['I4', 'an answer signed by somebody else', honest({ first: ok({ signatures: ['right'] }) })],
    [
      'I5',
      'a lease that nobody uses',
      honest({ more: [info({ what: 'slots', node: 'left', leased: 1, attempts: ['b'], inUse: 0, maxInUse: 1, limit: 4 })] }),
    ],
    [
      'I5',
      'a slot still in use',
      honest({ more: [info({ what: 'slots', node: 'left', leased: 1, attempts: ['b'], inUse: 1, maxInUse: 1, limit: 4 })] }),
    ],
    [
      'I5',
      'more at once than there are slots',
      honest({ more: [info({ what: 'slots', node: 'left', leased: 0, attempts: [], inUse: 0, maxInUse: 5, limit: 4 })] }),
    ],
    ['I5', 'a request still counted', honest({ more: [info({ what: 'quiet', running: 1, waiting: 0 })] })],
    [
      'I6',
      'a model believed to be warm',
      honest({ more: [info({ what: 'capacity', node: 'left', believed: ['a'], true: [], settledMs: 0, limitMs: 5_000 })] }),
    ],
    [
      'I6',
      'a truth that came late',
      honest({ more: [info({ what: 'capacity', node: 'left', believed: [], true: [], settledMs: 5_100, limitMs: 5_000 })] }),
    ],
    [
      'I7',
      'an answer over a dead connection',
      honest({ more: [info({ atMs: 300, what: 'cut', node: 'left', link: 'left/1', why: 'SIGSTOP' })] }),
    ],
    [
      'I9',
      'a process that died by itself',
      honest({ more: [info({ what: 'exit', program: 'coordinator', how: 'SIGSEGV', isInjected: false })] }),
    ],
    [
      'I9',
      'an unhandled rejection',
      honest({ more: [info({ what: 'outcry', program: 'coordinator', line: 'UnhandledPromiseRejection' })] }),
    ],
    ['I9', 'a stream cut in silence', honest({ second: fail({ how: 'cut', code: null, errorEvents: 0 }) })],
    ['I9', 'nobody at the door', honest({ second: fail({ how: 'connect', code: null, errorEvents: 0 }) })],
    ['I9', 'an error without a code', honest({ second: fail({ how: 'http', code: null, errorEvents: 0 }) })],
    ['I9', 'two error events', honest({ second: fail({ errorEvents: 2 }) })],
    ['I9', 'an error and then [DONE]', honest({ second: fail({ hasDone: true }) })],
    [
      'I10',
      'keys that stay',
      honest({ more: [info({ what: 'gauge', name: 'keys in Redis', before: 100, after: 111, slack: 5 })] }),
    ],
  ];
  it.each(doctored)('%s: notices %s', (invariant, _what, history) => {
    expect(checkHistory(history).map((violation) => violation.invariant)).toEqual([invariant]);
  });

  it('does not blame a coordinator for what it could not say when it was killed', () => {
    expect(checkHistory(honest({ second: fail({ how: 'cut', code: null, errorEvents: 0, isExcused: true }) }))).toEqual([]);
  });

  it('does not blame anybody when the client itself left', () => {
    expect(checkHistory(honest({ second: fail({ how: 'left', code: null, errorEvents: 0 }) }))).toEqual([]);
  });
});
