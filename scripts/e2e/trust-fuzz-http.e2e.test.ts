import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { env } from 'node:process';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { type BadRequest, badRequest, type DoorDescription } from './fuzz-inputs.ts';
import { SMUGGLING } from './smuggling.ts';

/** 1 in `npm test`; LAI_FUZZ_SCALE=10 is the full count. */
const SCALE = Number(env['LAI_FUZZ_SCALE'] ?? 1);
const COUNT = 1_000 * SCALE;
const SEED = Number(env['LAI_FUZZ_SEED'] ?? 20_261_121);
/** Said by the fleet about itself; everything else from 500 on would be our mistake. */
const HONEST = new Set(['no_capacity', 'queue_full', 'deadline_exceeded', 'first_token_timeout', 'store_unavailable']);

describe('bad HTTP', () => {
  let fleet: Fleet;
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        { name: 'attic', models: 'story:1b=0.1GB,slots=8,tps=5000,caps=chat', tuning: { prefillMs: 1, coldLoadMsPerGb: 0 } },
      ],
      env: { LAI_LOG_LEVEL: 'info' },
    });
    await fleet.warmUp('story:1b');
  });
  afterAll(async () => {
    agent.destroy();
    await fleet?.stop();
  });

  const rssMiB = (): number =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${fleet.coordinator.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

  const send = ({ method, path, headers, body }: BadRequest) =>
    new Promise<{ status: number; text: string; type: string }>((resolve, reject) => {
      const request = httpRequest(`${fleet.url}/`, { method, path, headers, agent, timeout: 15_000 }, (response) => {
        const pieces: Buffer[] = [];
        const type = String(response.headers['content-type'] ?? '');
        const answer = () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString(), type });
        response.on('data', (piece: Buffer) => {
          pieces.push(piece);
          if (method !== 'GET' || !type.includes('event-stream')) return;
          // The live feed has no end: what it says first is its answer.
          answer();
          response.destroy();
        });
        response.on('end', answer);
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error(`no answer: ${method} ${path} ${body?.slice(0, 300)}`)));
      request.on('error', reject);
      request.end(body);
    });

  it(
    `${COUNT} inputs drawn from schemas and from valid ones: no crash, no unexpected 5xx, every refusal in shape, nothing of ours shown`,
    async () => {
      const door = (await (await fetch(`${fleet.url}/openapi.json`)).json()) as DoorDescription;
      const requests = fc.sample(badRequest(fleet.key, door), { numRuns: COUNT, seed: SEED });
      const before = rssMiB();
      const wrong: string[] = [];
      const statuses = new Map<number, number>();
      const delaysMs: number[] = [];
      const queue = requests[Symbol.iterator]();
      const worker = async () => {
        for (const request of queue) {
          const startedAtMs = performance.now();
          const answer = await send(request).catch((error: Error & { code?: string }) => error);
          const told = `${request.method} ${request.path.slice(0, 200)} ${JSON.stringify(request.headers)} ${request.body?.slice(0, 300)}`;
          if (answer instanceof Error) {
            // A connection may be closed on a request that was not read to its end; a crash is found below.
            if (answer.code !== 'ECONNRESET' && answer.code !== 'EPIPE') wrong.push(`${answer.message}: ${told}`);
            continue;
          }
          const { status, text, type } = answer;
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (status >= 400 && status < 500) delaysMs.push(performance.now() - startedAtMs);
          const error = status >= 400 && type.includes('json') ? JSON.parse(text || 'null') : null;
          const code: string = error?.error?.code ?? '';
          const isOtherShape = typeof error?.error === 'string' || error?.type === 'error';
          if (status === 500 || (status > 500 && !HONEST.has(code) && !isOtherShape))
            wrong.push(`HTTP ${status} ${text.slice(0, 300)}: ${told}`);
          if (status >= 400 && request.method !== 'HEAD' && !error && !/^(404|400|401|405)$/.test(String(status)))
            wrong.push(`no JSON (${type}) with ${status}: ${told}`);
          if (/\n\s+at |node_modules|\.ts:\d+|SQLITE|sqlite_|kysely|ECONN/.test(text))
            wrong.push(`shows too much: ${text.slice(0, 300)}`);
          if (status >= 400 && text.includes(fleet.key)) wrong.push(`shows a key: ${told}`);
        }
      };
      await Promise.all(Array.from({ length: 16 }, worker));
      delaysMs.sort((a, b) => a - b);
      const p99 = delaysMs[Math.floor(delaysMs.length * 0.99)] ?? 0;
      const grown = rssMiB() - before;
      console.log(
        `seed ${SEED}: ${[...statuses]
          .sort(([a], [b]) => a - b)
          .map(([status, count]) => `${status}×${count}`)
          .join(' ')}; refusals p99 ${p99.toFixed(0)} ms; RSS +${grown.toFixed(0)} MiB`,
      );
      expect(wrong.slice(0, 5)).toEqual([]);
      // Passwords that are hashed take 40 MiB of it.
      expect(grown).toBeLessThan(250);
      expect((await fetch(`${fleet.url}/readyz`)).status).toBe(200);
      expect(fleet.coordinator.text).not.toMatch(/request failed inside Lai|UnhandledPromise|uncaught/i);
      await fleet.until('nothing is left running', ({ running, waiting }) => running === 0 && waiting === 0);
    },
    60_000 * Math.max(1, SCALE),
  );

  /** All that comes back until the connection ends or half a second passes in silence. */
  const exchange = (bytes: string): Promise<string> =>
    new Promise((resolve) => {
      const { hostname, port } = new URL(fleet.url);
      const socket = connect(Number(port), hostname);
      let text = '';
      socket.setTimeout(500, () => socket.destroy());
      socket.on('data', (piece) => {
        text += piece.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
      socket.write(Buffer.from(bytes, 'latin1'));
    });

  it.each(SMUGGLING.map(([name, bytes]) => ({ name, bytes })))('$name hides no second request', async ({ bytes }) => {
    const answer = await exchange(bytes);
    const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
    // One answer at most, and it is a refusal; or a plain 404 for the one request that there is.
    expect(statuses.length, answer).toBeLessThanOrEqual(1);
    for (const status of statuses) expect([400, 401, 403, 404, 405, 413, 414, 426, 429, 431, 501, 505]).toContain(status);
    expect(answer).not.toMatch(/\n\s+at /);
  });

  it('there are sixty of them', () => {
    expect(SMUGGLING.length).toBeGreaterThanOrEqual(60);
  });
});
