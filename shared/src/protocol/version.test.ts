import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeAgentMessage, decodeCoordinatorMessage } from './codec.ts';
import { agreedProtocol, MIN_PROTOCOL, PROTOCOL, SERVED_VERSIONS_BACK } from './version.ts';

const ours = { oldest: 3, newest: 5 };

describe('versions of the protocol', () => {
  it.each([
    [5, 5],
    [4, 4],
    [3, 3],
    [2, null],
    [0, null],
    // An agent that was updated before its coordinator.
    [6, 5],
  ])('an agent that speaks %i is answered in %s by a coordinator of 3 to 5', (theirs, expected) => {
    expect(agreedProtocol(theirs, ours)).toBe(expected);
  });

  it('agents of two versions back are served', () => {
    const oldest = Math.max(1, PROTOCOL - SERVED_VERSIONS_BACK);
    expect(MIN_PROTOCOL).toBeLessThanOrEqual(oldest);
    for (let theirs = oldest; theirs <= PROTOCOL; theirs += 1) expect(agreedProtocol(theirs)).toBe(theirs);
  });
});

const golden = (type: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path.join(import.meta.dirname, '__fixtures__', `v${MIN_PROTOCOL}`, `${type}.json`), 'utf8'));

describe('agents of before something was added', () => {
  /** Added to protocol 1 after its first agents. */
  const LATER = ['gaming', 'preemption', 'pulls', 'update'];

  it('say less of themselves, and are understood', () => {
    const message = golden('node.status') as { snapshot: Record<string, unknown> };
    for (const field of LATER) delete message.snapshot[field];
    expect(decodeAgentMessage(JSON.stringify(message))).toEqual({ ok: true, message });
  });

  it('hear of what they do not know, and of fields they do not know, without harm', () => {
    expect(decodeCoordinatorMessage(JSON.stringify({ type: 'node.of-tomorrow', anything: 1 }))).toMatchObject({ ok: false });
    const welcome = golden('node.welcome');
    expect(decodeCoordinatorMessage(JSON.stringify({ ...welcome, ofTomorrow: true }))).toEqual({ ok: true, message: welcome });
  });
});
