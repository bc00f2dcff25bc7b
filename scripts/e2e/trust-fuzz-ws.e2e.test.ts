import { readFileSync } from 'node:fs';
import { env } from 'node:process';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedToken } from '../../shared/src/admin-api.ts';
import { Fleet } from './fleet.ts';
import { enrollRaw, RawAgent } from './raw-agent.ts';
import { type FrameParts, frame, RawWebSocket } from './raw-websocket.ts';
import { readStream } from './stream.ts';

/** 1 in `npm test`; LAI_FUZZ_SCALE=10 is the full count. */
const SCALE = Number(env['LAI_FUZZ_SCALE'] ?? 1);
const SEED = Number(env['LAI_FUZZ_SEED'] ?? 20_261_121);
const FRAMES = 10_000 * SCALE;
const PER_SOCKET = 5;

const MODEL = 'story:1b';
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Frames that RFC 6455 forbids, and ones that are well-formed and mean nothing. */
const badFrame: fc.Arbitrary<FrameParts> = fc.oneof(
  fc.record({
    opcode: fc.constantFrom(1, 2),
    reserved: fc.integer({ min: 1, max: 7 }),
    payload: fc.uint8Array({ maxLength: 64 }),
  }),
  fc.record({ opcode: fc.constantFrom(3, 4, 5, 6, 7, 11, 12, 13, 14, 15), payload: fc.uint8Array({ maxLength: 64 }) }),
  fc.record({ opcode: fc.constant(1), isMasked: fc.constant(false), payload: fc.uint8Array({ maxLength: 64 }) }),
  fc.record({
    opcode: fc.constant(1),
    payload: fc.constantFrom(...[[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8, 0x88]].map((list) => Uint8Array.from(list))),
  }),
  fc.record({ opcode: fc.constantFrom(8, 9, 10), payload: fc.uint8Array({ minLength: 126, maxLength: 300 }) }),
  fc.record({ opcode: fc.constantFrom(8, 9, 10), isFinal: fc.constant(false), payload: fc.uint8Array({ maxLength: 20 }) }),
  fc.record({
    opcode: fc.constant(8),
    payload: fc.constantFrom(
      ...[[0], [3, 0xe7], [0x0b, 0xb7], [0xff, 0xff], [3, 0xe8, 0xff]].map((list) => Uint8Array.from(list)),
    ),
  }),
  fc.record({ opcode: fc.constant(0), payload: fc.uint8Array({ maxLength: 64 }) }),
  fc.record({ opcode: fc.constantFrom(1, 2, 0), isFinal: fc.constant(false), payload: fc.uint8Array({ maxLength: 8 }) }),
  fc.record({
    opcode: fc.constantFrom(1, 2),
    claims: fc.constantFrom(1024 * 1024 + 1, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER),
    payload: fc.uint8Array({ maxLength: 64 }),
  }),
  fc.record({ opcode: fc.constant(9), payload: fc.uint8Array({ maxLength: 125 }) }),
  fc.record({ opcode: fc.constant(2), payload: fc.uint8Array({ maxLength: 300 }) }),
  fc
    .oneof(
      fc.constantFrom(
        '',
        '{',
        'null',
        '[]',
        '{"type":"node.hello"}',
        '{"type":"node.proof","signature":"AA==","generation":0}',
        '['.repeat(50_000),
      ),
      fc.json({ maxDepth: 4 }),
    )
    .map((text) => ({ opcode: 1, payload: bytes(text) })),
);

describe('rude peers on the socket of agents', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        { name: 'attic', models: `${MODEL}=0.1GB,slots=4,tps=400,caps=chat`, tuning: { prefillMs: 5, coldLoadMsPerGb: 0 } },
      ],
    });
  });
  afterAll(() => fleet?.stop());

  const rssMiB = (): number =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${fleet.coordinator.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  const chat = async () =>
    readStream(
      await fleet.chat({ model: MODEL, stream: true, max_tokens: 20, messages: [{ role: 'user', content: `${Math.random()}` }] }),
    );

  it(
    `${FRAMES} bad frames: each socket is closed within a second of the first wrong one, and the fleet works on`,
    async () => {
      const sockets = fc.sample(fc.array(badFrame, { minLength: PER_SOCKET, maxLength: PER_SOCKET }), {
        numRuns: FRAMES / PER_SOCKET,
        seed: SEED,
      });
      let afterFirstHalf = 0;
      const codes = new Map<number | null, number>();
      let slowestMs = 0;
      let sent = 0;
      const queue = sockets[Symbol.iterator]();
      const peer = async () => {
        for (const frames of queue) {
          const peerSocket = await RawWebSocket.open(fleet.url);
          if (!peerSocket) throw new Error('the upgrade was refused');
          for (const parts of frames) peerSocket.write(frame(parts));
          sent += frames.length;
          // The first half warms caches and heap up; what the second half adds would be lost memory.
          if (sent >= FRAMES / 2) afterFirstHalf ||= rssMiB();
          // Whatever the frames were: none of them is a hello, and the next thing said is none either.
          peerSocket.write(frame({ opcode: 1, payload: bytes('bye') }));
          const { code, afterMs } = await peerSocket.closed;
          codes.set(code, (codes.get(code) ?? 0) + 1);
          slowestMs = Math.max(slowestMs, afterMs);
        }
      };
      await Promise.all(Array.from({ length: 24 }, peer));
      const grown = rssMiB() - afterFirstHalf;
      console.log(
        `seed ${SEED}: ${sent} frames; ${[...codes].map(([code, count]) => `${code}×${count}`).join(' ')}; slowest ${slowestMs.toFixed(0)} ms; RSS ${afterFirstHalf.toFixed(0)} +${grown.toFixed(0)} MiB`,
      );
      expect(sent).toBe(FRAMES);
      expect(slowestMs).toBeLessThan(1_000);
      expect(grown).toBeLessThan(50);
      expect((await chat()).isDone).toBe(true);
      expect(fleet.coordinator.text).not.toMatch(/UnhandledPromise|uncaught|handshake failed/i);
    },
    60_000 * Math.max(1, SCALE),
  );

  it(`${1_000 * SCALE} opens that say nothing: 64 are let in at a time, all are gone after 5 s, and memory stays`, async () => {
    const before = rssMiB();
    const held: RawWebSocket[] = [];
    let refused = 0;
    for (let at = 0; at < SCALE; at += 1) {
      const opened = await Promise.all(Array.from({ length: 1_000 }, () => RawWebSocket.open(fleet.url)));
      for (const socket of opened) {
        if (socket) held.push(socket);
        else refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(800 * SCALE);
    expect((await chat()).isDone).toBe(true);
    await Promise.all(held.map((socket) => socket.closed));
    expect(rssMiB() - before).toBeLessThan(50);
    expect(await RawWebSocket.open(fleet.url).then((socket) => socket?.socket.destroy())).not.toBeNull();
  });

  it('a known node that talks nonsense is not believed, and takes nobody with it', async () => {
    const response = await fetch(`${fleet.url}/api/v1/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: '{}',
    });
    const { token } = (await response.json()) as IssuedToken;
    const identity = await enrollRaw(fleet.url, token, 'rogue');
    const rogue = new RawAgent(fleet.url);
    expect(await rogue.greet(identity)).toMatchObject({ type: 'node.welcome' });
    const lies = fc.sample(
      fc.oneof(
        fc.record({
          type: fc.constantFrom(
            'attempt.accept',
            'attempt.end',
            'attempt.fail',
            'command.result',
            'node.status',
            'node.proof',
            'node.hello',
            'x',
          ),
          attemptId: fc.string({ maxLength: 80 }),
          commandId: fc.string({ maxLength: 80 }),
          ok: fc.boolean(),
          code: fc.constantFrom('engine_crashed', 'nonsense', ''),
          finishReason: fc.option(fc.string({ maxLength: 80 })),
          usage: fc.option(fc.record({ promptTokens: fc.integer(), completionTokens: fc.double() })),
          timings: fc.constant(null),
          snapshot: fc.option(fc.jsonValue({ maxDepth: 3 })),
        }),
        fc.jsonValue({ maxDepth: 4 }),
      ),
      { numRuns: 1_000 * SCALE, seed: SEED },
    );
    const running = chat();
    for (const lie of lies) rogue.socket.send(JSON.stringify(lie));
    const data = fc.sample(fc.uint8Array({ maxLength: 300 }), { numRuns: 500, seed: SEED });
    for (const piece of data) rogue.socket.send(piece as Uint8Array<ArrayBuffer>);
    expect((await running).isDone).toBe(true);
    await fleet.until('the honest one is alive', ({ nodes }) =>
      nodes.some(({ liveness, snapshot }) => liveness === 'alive' && snapshot?.name === 'attic'),
    );
    expect((await chat()).isDone).toBe(true);
    expect(fleet.coordinator.text).not.toMatch(/UnhandledPromise|uncaught/i);
    rogue.socket.close();
  });
});
