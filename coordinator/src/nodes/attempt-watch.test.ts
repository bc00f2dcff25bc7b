import { MAX_EVENT_BYTES, STREAM_WINDOW_BYTES } from '@lai/shared/protocol/codec';
import { describe, expect, it } from 'vitest';
import { AttemptWatch, DEADLINE_GRACE_MS, isBeyondCredit } from './attempt-watch.ts';

const DEADLINES = { firstContentMs: 30_000, stallMs: 60_000, totalMs: 600_000 };
const accepted = (deadlines = DEADLINES) => {
  const watch = new AttemptWatch(deadlines);
  watch.accepted(1_000);
  return watch;
};

describe('AttemptWatch', () => {
  it('waits for the first content from the acceptance on, with some grace', () => {
    expect(accepted().due()).toEqual({ atMs: 31_000 + DEADLINE_GRACE_MS, code: 'first_token_timeout' });
  });

  it('does not take a prelude for content', () => {
    const watch = accepted();
    watch.received(100, false, 20_000);
    expect(watch.due()).toMatchObject({ atMs: 31_000 + DEADLINE_GRACE_MS, code: 'first_token_timeout' });
  });

  it('begins anew while the request is still on its way', () => {
    const watch = accepted();
    watch.stillSending(9_000);
    expect(watch.due().atMs).toBe(39_000 + DEADLINE_GRACE_MS);
  });

  it('waits for the next bytes after content', () => {
    const watch = accepted();
    watch.received(100, true, 5_000);
    watch.received(100, true, 7_000);
    expect(watch.due()).toEqual({ atMs: 67_000 + DEADLINE_GRACE_MS, code: 'stall_timeout' });
  });

  it('lets a node be silent that has no credit, and begins anew when it gets some', () => {
    const watch = accepted();
    watch.received(STREAM_WINDOW_BYTES, true, 5_000);
    expect(watch.due()).toEqual({ atMs: 601_000 + DEADLINE_GRACE_MS, code: 'deadline_exceeded' });
    watch.granted(STREAM_WINDOW_BYTES / 2, 90_000);
    expect(watch.due()).toEqual({ atMs: 150_000 + DEADLINE_GRACE_MS, code: 'stall_timeout' });
  });

  it('never waits longer than the whole attempt may take', () => {
    const watch = accepted({ ...DEADLINES, totalMs: 10_000 });
    expect(watch.due()).toEqual({ atMs: 11_000 + DEADLINE_GRACE_MS, code: 'deadline_exceeded' });
  });

  it('counts what arrived and was not read', () => {
    const watch = accepted();
    watch.received(300, true, 1);
    watch.read(100);
    expect(watch.unreadBytes).toBe(200);
  });
});

describe('isBeyondCredit', () => {
  const event = STREAM_WINDOW_BYTES + MAX_EVENT_BYTES;
  it.each([
    ['a window', { ofStream: STREAM_WINDOW_BYTES, ofNode: STREAM_WINDOW_BYTES, streams: 1 }, false],
    ['a window and the longest event, which is sent whole', { ofStream: event, ofNode: event, streams: 1 }, false],
    ['slow readers on 256 slots', { ofStream: STREAM_WINDOW_BYTES, ofNode: 256 * STREAM_WINDOW_BYTES, streams: 256 }, false],
    ['two windows more than the longest event', { ofStream: 2 * event, ofNode: 2 * event, streams: 1 }, true],
    ['the longest event on each of 16 streams', { ofStream: event, ofNode: 16 * event, streams: 16 }, true],
  ])('says of %s whether it is', (_, unread, expected) => {
    expect(isBeyondCredit(unread)).toBe(expected);
  });
});
