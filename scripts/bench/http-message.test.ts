import { describe, expect, it } from 'vitest';
import { MessageReader, statusOf } from './http-message.ts';

const read = (isResponse: boolean, pieces: readonly string[]) => {
  const seen: string[] = [];
  let body = '';
  const reader = new MessageReader({
    isResponse,
    events: {
      head: (head) => seen.push(`head ${head.split('\r\n')[0]}`),
      body: (bytes) => {
        body += bytes.toString();
      },
      end: () => {
        seen.push(`end ${body}`);
        body = '';
      },
    },
  });
  for (const piece of pieces) reader.push(Buffer.from(piece));
  return { seen, reader };
};

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n';
const counted = 'HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nabc';

describe('MessageReader', () => {
  it('puts a chunked body together', () => {
    expect(read(true, [chunked]).seen).toEqual(['head HTTP/1.1 200 OK', 'end hello world']);
  });

  it('reads the same whatever the pieces are', () => {
    const whole = read(true, [chunked + counted + chunked]).seen;
    expect(whole).toHaveLength(6);
    for (const size of [1, 2, 3, 7, 50]) {
      const text = chunked + counted + chunked;
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) => text.slice(at * size, (at + 1) * size));
      expect(read(true, pieces).seen).toEqual(whole);
    }
  });

  it('ends a request without a body at once and an answer without a length with the connection', () => {
    expect(read(false, ['GET / HTTP/1.1\r\nhost: x\r\n\r\n']).seen).toEqual(['head GET / HTTP/1.1', 'end ']);
    const { seen, reader } = read(true, ['HTTP/1.1 200 OK\r\n\r\nabc']);
    expect(seen).toEqual(['head HTTP/1.1 200 OK']);
    expect(reader.close()).toBe('clean');
    expect(seen.at(-1)).toBe('end abc');
  });

  it('knows a message that was cut off', () => {
    expect(read(true, [chunked.slice(0, -8)]).reader.close()).toBe('cut');
    expect(read(true, ['HTTP/1.1 200 O']).reader.close()).toBe('cut');
    expect(read(true, [chunked]).reader.close()).toBe('clean');
  });

  it('refuses what is not HTTP', () => {
    expect(() => read(true, ['hello\r\n\r\n'])).toThrow();
    expect(() => read(true, ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'])).toThrow();
  });

  it('reads the status', () => {
    expect(statusOf(counted)).toBe(404);
  });
});
