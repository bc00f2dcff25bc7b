import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';

const BUSY = 'busy:1b';
const FREE = 'free:1b';
const BODY_BYTES = 3.9 * 1024 * 1024;
/** LAI_FUZZ_SCALE=2 is what killed the process before. */
const AT_ONCE = 30 * Number(process.env['LAI_FUZZ_SCALE'] ?? 1);

/** A text that V8 keeps in one byte a character, and one of the same length that it keeps in two. */
const TEXTS = { bytes: '', wide: '你' } as const;

const SURFACES: Record<string, (text: string) => { path: string; body: unknown }> = {
  chat: (text) => ({
    path: '/v1/chat/completions',
    body: { model: BUSY, stream: true, messages: [{ role: 'user', content: text }] },
  }),
  completions: (text) => ({ path: '/v1/completions', body: { model: BUSY, stream: true, prompt: text } }),
  responses: (text) => ({ path: '/v1/responses', body: { model: BUSY, stream: true, input: text } }),
  messages: (text) => ({
    path: '/v1/messages',
    body: { model: BUSY, stream: true, max_tokens: 9, messages: [{ role: 'user', content: text }] },
  }),
  ollama: (text) => ({ path: '/api/chat', body: { model: BUSY, messages: [{ role: 'user', content: text }] } }),
  embeddings: (text) => ({ path: '/v1/embeddings', body: { model: BUSY, input: text } }),
  jobs: (text) => ({ path: '/v1/jobs', body: { model: BUSY, messages: [{ role: 'user', content: text }] } }),
};

/** The coordinator with the flags of its systemd unit, and one key that holds as much of it as it can. */
describe('one key that holds memory', () => {
  let fleet: Fleet;
  let greedy: string;

  beforeAll(async () => {
    const node = (name: string, model: string, slots: number) => ({
      name,
      models: `${model}=0.1GB,slots=${slots},tps=50,ctx=100000000,caps=chat+completion+embedding,warm`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
    });
    fleet = await Fleet.start({
      nodes: [node('busy', BUSY, 1), node('free', FREE, 8)],
      env: { NODE_OPTIONS: '--max-semi-space-size=4 --max-old-space-size=512' },
    });
    greedy = (await fleet.lai('keys', 'create', 'greedy')).split('\n')[0] ?? '';
    // The one slot is taken for as long as the tests run.
    void fleet.chat({ model: BUSY, stream: true, max_tokens: 1_000_000, messages: [{ role: 'user', content: 'Go on.' }] });
    await fleet.until('the slot is taken', ({ running }) => running === 1);
  });
  afterAll(() => fleet?.stop());

  const send = async (path: string, body: string, signal: AbortSignal) => {
    const headers = { authorization: `Bearer ${greedy}`, 'content-type': 'application/json' };
    const response = await fetch(`${fleet.url}${path}`, { method: 'POST', headers, body, signal });
    // A stream that waits is answered at once with comments; what counts here is that it was taken.
    void response.body?.cancel();
    return response;
  };
  const others = async () => {
    const startedAt = performance.now();
    const response = await fleet.chat({ model: FREE, max_tokens: 2, messages: [{ role: 'user', content: `${Math.random()}` }] });
    expect(response.status).toBe(200);
    return performance.now() - startedAt;
  };
  const peakMiB = () =>
    Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${fleet.coordinator.pid}/status`, 'utf8'))?.[1]) / 1024;

  it.each(
    Object.keys(SURFACES).flatMap((surface) => Object.keys(TEXTS).map((text) => [surface, text as keyof typeof TEXTS] as const)),
  )(
    'with large bodies at once leaves the others served: %s, %s',
    async (surface, text) => {
      const { path, body } = SURFACES[surface]?.(TEXTS[text] + 'A'.repeat(BODY_BYTES)) ?? { path: '', body: null };
      const json = JSON.stringify(body);
      const leaving = new AbortController();
      const codes: Record<string, number> = {};
      const count = (code: string) => {
        codes[code] = (codes[code] ?? 0) + 1;
      };
      const sent = Array.from({ length: AT_ONCE }, () =>
        send(path, json, leaving.signal).then(
          ({ status, headers }) => {
            if (status === 429 || status === 503) expect(headers.get('retry-after')).not.toBeNull();
            count(String(status));
          },
          (error: unknown) => count(error instanceof Error && error.name === 'AbortError' ? 'waits' : 'reset'),
        ),
      );
      let slowestMs = 0;
      for (let at = 0; at < 3; at += 1) slowestMs = Math.max(slowestMs, await others());
      leaving.abort();
      await Promise.all(sent);
      console.log(
        `${surface} ${text}: ${JSON.stringify(codes)}, others ${slowestMs.toFixed(0)} ms, peak ${peakMiB().toFixed(0)} MiB`,
      );
      expect(fleet.coordinator.text).not.toContain('FATAL ERROR');
    },
    120_000,
  );

  it('with jobs for models that no node has is refused', async () => {
    const codes = new Set<number>();
    for (let at = 0; at < 500; at += 1) {
      const body = JSON.stringify({ model: `rand-${at}`, messages: [{ role: 'user', content: 'x' }] });
      codes.add((await send('/v1/jobs', body, AbortSignal.timeout(20_000))).status);
    }
    expect([...codes]).toEqual([404]);
    await others();
  });

  it('with bodies that come slowly leaves the others served', async () => {
    const port = Number(new URL(fleet.url).port);
    const piece = 'A'.repeat(1024 * 1024);
    const sockets: Socket[] = [];
    for (let at = 0; at < 200; at += 1) {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${greedy}\r\ncontent-type: application/json\r\ncontent-length: ${4 * piece.length}\r\n\r\n{"model":"${BUSY}","x":"${piece}`,
      );
      sockets.push(socket);
    }
    for (let at = 0; at < 10; at += 1) await others();
    console.log(`slow bodies: peak ${peakMiB().toFixed(0)} MiB`);
    for (const socket of sockets) socket.destroy();
    await others();
    expect(fleet.coordinator.text).not.toContain('FATAL ERROR');
  });

  it('gives everything back when its requests are over', async () => {
    const { status } = await send(
      '/v1/chat/completions',
      JSON.stringify({ model: FREE, max_tokens: 1, messages: [{ role: 'user', content: 'A'.repeat(BODY_BYTES) }] }),
      AbortSignal.timeout(20_000),
    );
    expect(status).toBe(200);
  });
});
