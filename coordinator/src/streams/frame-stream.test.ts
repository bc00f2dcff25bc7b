import type { Frame } from '@lai/shared/attempt';
import { describe, expect, it } from 'vitest';
import { FrameStream } from './frame-stream.ts';

const chunk = (text: string): Frame => ({ kind: 'chunk', chunk: 'content', bytes: new TextEncoder().encode(text) });
const end: Frame = { kind: 'end', finishReason: 'stop', usage: null, timings: null };
const failed: Frame = { kind: 'failed', code: 'node_lost', message: 'gone' };

const say = (frame: Frame): string => (frame.kind === 'chunk' ? new TextDecoder().decode(frame.bytes) : frame.kind);
const readAll = async (stream: FrameStream): Promise<string[]> => {
  const said: string[] = [];
  for await (const frame of stream) said.push(say(frame));
  return said;
};

const watched = () => {
  const seen = { readBytes: [] as number[], abandoned: 0 };
  const stream = new FrameStream({
    onRead: (bytes) => seen.readBytes.push(bytes),
    onAbandon: () => {
      seen.abandoned += 1;
    },
  });
  return { stream, seen };
};

describe('a stream of frames', () => {
  it('is read in the order in which it was written, and ends after its last frame', async () => {
    const stream = new FrameStream();
    for (const frame of [chunk('a'), chunk('b'), end]) stream.push(frame);
    expect(await readAll(stream)).toEqual(['a', 'b', 'end']);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('wakes a reader that waits, with every kind of frame', async () => {
    const stream = new FrameStream();
    for (const frame of [chunk('a'), failed]) {
      const waiting = stream.next();
      stream.push(frame);
      expect(await waiting).toEqual({ done: false, value: frame });
    }
  });

  it('keeps the order for a reader that comes and goes', async () => {
    const stream = new FrameStream();
    const first = stream.next();
    stream.push(chunk('a'));
    stream.push(chunk('b'));
    stream.push(end);
    expect(say((await first).value)).toBe('a');
    expect(await readAll(stream)).toEqual(['b', 'end']);
  });

  it.each([
    ['end', end],
    ['failed', failed],
  ])('has one last frame: what comes after "%s" is ignored', async (_, last) => {
    const stream = new FrameStream();
    expect(stream.isEnded).toBe(false);
    stream.push(last);
    expect(stream.isEnded).toBe(true);
    for (const late of [chunk('late'), end, failed]) stream.push(late);
    expect(await readAll(stream)).toEqual([last.kind]);
  });

  it('ends a reader that already waits for more than there is', async () => {
    const stream = new FrameStream();
    const waiting = stream.next();
    await stream.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });
});

describe('credit', () => {
  it('is given back when bytes are read, not when they arrive', async () => {
    const { stream, seen } = watched();
    stream.push(chunk('four'));
    stream.push(chunk('seventy'));
    expect(seen.readBytes).toEqual([]);
    await stream.next();
    expect(seen.readBytes).toEqual([4]);
    await stream.next();
    expect(seen.readBytes).toEqual([4, 7]);
  });

  it('is given back at once to a reader that waits, and not for a last frame', async () => {
    const { stream, seen } = watched();
    const waiting = stream.next();
    stream.push(chunk('abc'));
    expect(seen.readBytes).toEqual([3]);
    await waiting;
    stream.push(end);
    await stream.next();
    expect(seen.readBytes).toEqual([3]);
  });

  it('is not given back for what nobody will read', async () => {
    const { stream, seen } = watched();
    stream.push(chunk('abc'));
    await stream.return();
    stream.push(chunk('def'));
    expect(seen.readBytes).toEqual([]);
  });
});

describe('a reader that leaves', () => {
  it('is told to the producer exactly once', async () => {
    const { stream, seen } = watched();
    stream.push(chunk('a'));
    for await (const frame of stream) {
      expect(say(frame)).toBe('a');
      break;
    }
    await stream.return();
    await stream.return();
    expect(seen.abandoned).toBe(1);
    stream.push(chunk('b'));
    stream.push(end);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('leaves by throwing as well', async () => {
    const { stream, seen } = watched();
    stream.push(chunk('a'));
    const read = async () => {
      for await (const frame of stream) throw new Error(say(frame));
    };
    await expect(read()).rejects.toThrow('a');
    expect(seen.abandoned).toBe(1);
  });

  it('has nothing to stop once the producer is done, read to the end or not', async () => {
    const read = watched();
    read.stream.push(end);
    expect(await readAll(read.stream)).toEqual(['end']);
    await read.stream.return();
    expect(read.seen.abandoned).toBe(0);

    const unread = watched();
    unread.stream.push(chunk('a'));
    unread.stream.push(end);
    await unread.stream.return();
    expect(unread.seen.abandoned).toBe(0);
    expect(await unread.stream.next()).toEqual({ done: true, value: undefined });
  });
});
