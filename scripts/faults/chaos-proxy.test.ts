import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChaosProxy, type Link } from './chaos-proxy.ts';

let echo: Server;
let proxy: ChaosProxy;
/** The far ends, in the order they were connected. */
let far: Socket[];
const clients: Socket[] = [];

beforeEach(async () => {
  far = [];
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    far.push(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => socket.write(bytes));
    socket.on('end', () => socket.end());
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  proxy = await ChaosProxy.start({ to: { host: '127.0.0.1', port: address.port }, seed: 7 });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  echo.close();
});

const connect = async (): Promise<{ socket: Socket; link: Link }> => {
  const before = new Set(proxy.links);
  const socket = createConnection({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true });
  socket.on('error', () => {});
  clients.push(socket);
  await once(socket, 'connect');
  await expect.poll(() => far.length).toBe(clients.length);
  const link = [...proxy.links].find((candidate) => !before.has(candidate));
  if (!link) throw new Error('no link');
  return { socket, link };
};

/** What comes back until there are so many bytes. */
const received = async (socket: Socket, bytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length >= bytes) break;
  }
  return Buffer.concat(chunks);
};

const roundTripMs = async (socket: Socket, text = 'ping'): Promise<number> => {
  const startedMs = performance.now();
  socket.write(text);
  expect((await received(socket, text.length)).toString()).toBe(text);
  return performance.now() - startedMs;
};

/** What came within this time. */
const within = async (socket: Socket, ms: number): Promise<string> => {
  let text = '';
  const hear = (bytes: Buffer) => {
    text += bytes.toString();
  };
  socket.on('data', hear);
  await pause(ms);
  socket.off('data', hear);
  return text;
};

describe('the chaos proxy', () => {
  it('left alone, passes bytes both ways at once and unchanged', async () => {
    const { socket } = await connect();
    await roundTripMs(socket);
    const large = Buffer.alloc(3_000_000, 'abcdefghij');
    socket.write(large);
    expect((await received(socket, large.length)).equals(large)).toBe(true);
  });

  it('delays each direction on its own, without adding the delays of one burst', async () => {
    const { socket, link } = await connect();
    link.set('up', { delayMs: 80 });
    expect(await roundTripMs(socket)).toBeGreaterThanOrEqual(79);
    link.set('down', { delayMs: 60 });
    const startedMs = performance.now();
    for (let count = 0; count < 10; count += 1) socket.write('x');
    await received(socket, 10);
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThanOrEqual(138);
    // One after the other they would have taken 1.4 s.
    expect(tookMs).toBeLessThan(1_200);
  });

  it('keeps the order under jitter and loss', async () => {
    const { socket, link } = await connect();
    link.set('up', { delayMs: 5, jitterMs: 5, sliceBytes: 3 });
    link.set('down', { lossShare: 0.05, sliceBytes: 40 });
    const text = Array.from({ length: 200 }, (_, index) => `${index},`).join('');
    socket.write(text);
    expect((await received(socket, text.length)).toString()).toBe(text);
  });

  it('stalls for a retransmission when a segment is lost', async () => {
    const { socket, link } = await connect();
    link.set('up', { lossShare: 0.9 });
    socket.write('late');
    await received(socket, 4);
    expect(performance.now() - link.openedAtMs).toBeGreaterThan(195);
  });

  it('throttles', async () => {
    const { socket, link } = await connect();
    link.set('up', { bytesPerSecond: 100_000, sliceBytes: 1_000 });
    const startedMs = performance.now();
    socket.write(Buffer.alloc(20_000));
    await received(socket, 20_000);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(195);
  });

  it('as a black hole lets nothing pass, and everything once it is lifted', async () => {
    const { socket, link } = await connect();
    await roundTripMs(socket);
    link.set('both', { isBlackHole: true });
    socket.write('held');
    expect(await within(socket, 60)).toBe('');
    link.set('both', { isBlackHole: false });
    expect((await received(socket, 4)).toString()).toBe('held');
  });

  it('as a black hole in one direction passes the other', async () => {
    const { socket, link } = await connect();
    await roundTripMs(socket);
    link.set('up', { isBlackHole: true });
    socket.write('held');
    far[0]?.write('heard');
    expect((await received(socket, 5)).toString()).toBe('heard');
    expect(await within(socket, 40)).toBe('');
  });

  it('as a black hole hides that the other end has closed', async () => {
    const { socket, link } = await connect();
    await roundTripMs(socket);
    let isClosed = false;
    socket.once('end', () => {
      isClosed = true;
    });
    link.set('both', { isBlackHole: true });
    far[0]?.destroy();
    expect(await within(socket, 60)).toBe('');
    expect(isClosed).toBe(false);
    socket.resume();
    link.set('both', { isBlackHole: false });
    await expect.poll(() => isClosed || socket.destroyed).toBe(true);
  });

  it('also swallows connections that come while it is one', async () => {
    proxy.set('both', { isBlackHole: true });
    const { socket } = await connect();
    socket.write('hello');
    expect(await within(socket, 60)).toBe('');
    proxy.set('both', { isBlackHole: false });
    expect((await received(socket, 5)).toString()).toBe('hello');
  });

  it('resets both ends', async () => {
    const { socket, link } = await connect();
    await roundTripMs(socket);
    const errors: string[] = [];
    for (const end of [socket, far[0]]) end?.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''));
    link.reset();
    await expect.poll(() => errors).toEqual(['ECONNRESET', 'ECONNRESET']);
    await expect.poll(() => proxy.links.size).toBe(0);
  });

  it('closes one direction and leaves the other open', async () => {
    const { socket, link } = await connect();
    await roundTripMs(socket);
    const ended = once(socket.resume(), 'end');
    link.halfClose('down');
    await ended;
    const heard = once(far[0] as Socket, 'data');
    socket.write('still here');
    expect(String((await heard)[0])).toBe('still here');
  });

  it('slices what comes in one piece', async () => {
    const { socket, link } = await connect();
    link.set('up', { sliceBytes: 2, bytesPerSecond: 10 });
    const sizes: number[] = [];
    far[0]?.on('data', (bytes: Buffer) => sizes.push(bytes.length));
    await roundTripMs(socket, 'abcdefgh');
    expect(sizes.length).toBeGreaterThan(1);
    expect(sizes.every((size) => size % 2 === 0)).toBe(true);
  });

  it('turns exactly one bit of a segment', async () => {
    const { socket, link } = await connect();
    link.set('up', { flipShare: 1 });
    const sent = Buffer.alloc(100, 0x55);
    socket.write(sent);
    const back = await received(socket, 100);
    const turned = [...back].reduce((bits, byte) => bits + (byte ^ 0x55).toString(2).replaceAll('0', '').length, 0);
    expect(turned).toBe(1);
  });

  it('passes on that one end broke off', async () => {
    const { socket } = await connect();
    await roundTripMs(socket);
    const gone = once(far[0] as Socket, 'error');
    socket.resetAndDestroy();
    expect((await gone)[0]).toMatchObject({ code: 'ECONNRESET' });
  });

  it('refuses new connections when told to, and leaves the others alone', async () => {
    const { socket } = await connect();
    proxy.refuse(true);
    const refused = createConnection({ host: '127.0.0.1', port: proxy.port });
    await once(refused, 'error');
    await roundTripMs(socket);
  });
});
