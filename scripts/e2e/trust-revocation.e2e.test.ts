import { join } from 'node:path';
import { env } from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedKey, IssuedToken, SessionView } from '../../shared/src/admin-api.ts';
import { Fleet } from './fleet.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { Program } from './program.ts';
import { enrollRaw, RawAgent } from './raw-agent.ts';
import { readStream } from './stream.ts';

const LAI = join(import.meta.dirname, '..', '..', 'coordinator', 'dist', 'lai.js');
const MODEL = 'story:1b';
/** The promise, from the moment that the operator asks. */
const LIMIT_MS = 1_000;
/** 1 in `npm test`; LAI_FUZZ_SCALE=10 makes it 120 rounds. */
const SCALE = Number(env['LAI_FUZZ_SCALE'] ?? 1);
const ROUNDS = 12 * SCALE;
/** More than sixty wrong keys from one address within a minute are told to wait. */
const REFUSED = [401, 429];
/** As long as the mock engine can be made to talk: 25 s at its pace. */
const LONG = 1_000;

/** On PostgreSQL where the machine has one, else on one SQLite file: three coordinators of one machine may share that too. */
describe('what is revoked at one of three coordinators', { timeout: 60_000 * Math.max(1, SCALE) }, () => {
  let postgres: Postgres | null;
  let doors: Fleet[];

  beforeAll(async () => {
    postgres = await startPostgres();
    const database: Record<string, string> = postgres ? { DATABASE_URL: await postgres.createDatabase() } : {};
    const node = (name: string) => ({
      name,
      models: `${MODEL}=0.1GB,slots=8,tps=40,caps=chat`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
    });
    const first = await Fleet.start({ nodes: [node('one')], env: database });
    doors = [first];
    doors.push(await Fleet.startReplica(first, { nodes: [node('two')] }), await Fleet.startReplica(first, { nodes: [] }));
    for (const door of doors)
      await door.until('both nodes are seen', ({ nodes }) => nodes.filter(({ liveness }) => liveness === 'alive').length === 2);
    for (const door of doors.slice(0, 2)) await door.warmUp(MODEL);
  });
  afterAll(async () => {
    for (const door of doors?.toReversed() ?? []) await door.stop();
    await postgres?.stop();
  });

  const admin = async <T>(door: Fleet, method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${door.url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${door.key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: HTTP ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const door = (index: number): Fleet => {
    const found = doors[index % doors.length];
    if (!found) throw new Error('no door');
    return found;
  };
  const worst = (delaysMs: number[]): number => {
    delaysMs.sort((a, b) => a - b);
    const p99 = delaysMs[Math.ceil(delaysMs.length * 0.99) - 1] ?? 0;
    console.log(`n=${delaysMs.length} p50=${delaysMs[delaysMs.length >> 1]?.toFixed(0)} p99=${p99.toFixed(0)} ms`);
    return p99;
  };
  const chat = (at: Fleet, key: string, max_tokens: number) =>
    at.chat(
      { model: MODEL, stream: true, max_tokens, messages: [{ role: 'user', content: `Story ${Math.random()}` }] },
      { headers: { authorization: `Bearer ${key}` } },
    );

  it('a key: its streams end everywhere with an error, and nothing new begins', async () => {
    const delaysMs: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const { key, view } = await admin<IssuedKey>(door(round), 'POST', 'keys', { name: `round ${round}` });
      const responses = await Promise.all(doors.map((at) => chat(at, key, LONG)));
      expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
      const streams = responses.map(async (response) => {
        const seen = await readStream(response);
        return { ...seen, endedAtMs: performance.now() };
      });
      const revokedAtMs = performance.now();
      await admin(door(round + 1), 'DELETE', `keys/${view.id}`);
      for (const { isDone, errors, content, endedAtMs } of await Promise.all(streams)) {
        delaysMs.push(endedAtMs - revokedAtMs);
        expect(isDone).toBe(false);
        expect(errors.map(({ code }) => code)).toEqual(['invalid_api_key']);
        expect(content.length).toBeGreaterThan(0);
      }
      for (const at of doors) expect(REFUSED).toContain((await chat(at, key, 1)).status);
    }
    expect(worst(delaysMs)).toBeLessThan(LIMIT_MS);
    await door(0).until('the slots are free', ({ running }) => running === 0);
  });

  it('a key that only waits for a slot is told as well', async () => {
    const { key: other } = await admin<IssuedKey>(door(0), 'POST', 'keys', { name: 'busy' });
    const busy = await Promise.all(Array.from({ length: 16 }, (_, index) => chat(door(index), other, 400)));
    const { key, view } = await admin<IssuedKey>(door(0), 'POST', 'keys', { name: 'waiting' });
    const waiting = chat(door(2), key, 5);
    await door(2).until('it waits', (status) => status.waiting >= 1);
    await admin(door(0), 'DELETE', `keys/${view.id}`);
    const revokedAtMs = performance.now();
    const response = await waiting;
    expect(response.status).toBe(401);
    expect(performance.now() - revokedAtMs).toBeLessThan(LIMIT_MS);
    for (const stream of busy) await stream.body?.cancel();
    await door(0).until('the slots are free', ({ running }) => running === 0);
  });

  it('a node: its socket is closed, whichever of the three holds it', async () => {
    const delaysMs: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const { token } = await admin<IssuedToken>(door(0), 'POST', 'tokens', {});
      const identity = await enrollRaw(door(round).url, token, `raw-${round}`);
      const agent = new RawAgent(door(round).url);
      expect(await agent.greet(identity)).toMatchObject({ type: 'node.welcome' });
      const revokedAtMs = performance.now();
      await admin(door(round + 1), 'POST', `nodes/${identity.nodeId}/revoke`);
      const { atMs } = await agent.closed;
      delaysMs.push(atMs - revokedAtMs);
      expect(agent.heard.at(-1)).toMatchObject({ type: 'node.reject', reason: 'revoked', isFinal: true });
      const back = new RawAgent(door(round + 2).url);
      expect(await back.greet(identity)).toMatchObject({ type: 'node.reject', reason: 'revoked' });
    }
    expect(worst(delaysMs)).toBeLessThan(LIMIT_MS);
  });

  it('a session: what it was doing is cut everywhere, and its cookie opens nothing', async () => {
    const person = { name: 'anna', password: 'correct horse battery' };
    await admin(door(0), 'POST', 'users', { ...person, role: 'admin' });
    /** As a browser asks. */
    const ask = (at: Fleet, method: string, path: string, options: { cookie?: string; body?: unknown }) =>
      fetch(`${at.url}${path}`, {
        method,
        headers: { origin: at.url, 'content-type': 'application/json', cookie: options.cookie ?? '' },
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      });
    const signIn = async (at: Fleet): Promise<string> => {
      const [cookie = ''] = (await ask(at, 'POST', '/api/v1/session', { body: person })).headers.getSetCookie();
      return cookie.split(';')[0] ?? '';
    };
    const desk = await signIn(door(0));
    const delaysMs: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const cookie = await signIn(door(round));
      const sessions = (await (await ask(door(round), 'GET', '/api/v1/sessions', { cookie })).json()) as SessionView[];
      const id = sessions.find(({ isCurrent }) => isCurrent)?.id;
      const body = { model: MODEL, stream: true, max_tokens: LONG, messages: [{ role: 'user', content: `Story ${round}` }] };
      const responses = await Promise.all(doors.map((at) => ask(at, 'POST', '/v1/chat/completions', { cookie, body })));
      expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
      const streams = responses.map(async (response) => ({ ...(await readStream(response)), endedAtMs: performance.now() }));
      const revokedAtMs = performance.now();
      expect((await ask(door(round + 1), 'DELETE', `/api/v1/sessions/${id}`, { cookie: desk })).status).toBe(204);
      for (const { isDone, endedAtMs } of await Promise.all(streams)) {
        delaysMs.push(endedAtMs - revokedAtMs);
        expect(isDone).toBe(false);
      }
      for (const at of doors) expect(REFUSED).toContain((await ask(at, 'GET', '/api/v1/session', { cookie })).status);
    }
    expect(worst(delaysMs)).toBeLessThan(LIMIT_MS);
    await door(0).until('the slots are free', ({ running }) => running === 0);
  });

  it('a token: opens nothing at the others from that moment on', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const { token, view } = await admin<IssuedToken>(door(round), 'POST', 'tokens', {});
      await admin(door(round + 1), 'DELETE', `tokens/${view.id}`);
      for (const at of doors) await expect(enrollRaw(at.url, token, 'late')).rejects.toThrow(/HTTP 4(03|29)/);
    }
  });

  it('is found within 5 s even when there is no news of it', async () => {
    const { key, view } = await admin<IssuedKey>(door(0), 'POST', 'keys', { name: 'unheard' });
    const stream = readStream(await chat(door(2), key, LONG));
    // On the database itself, because no coordinator answers there: nobody is told.
    await new Program('lai', [LAI, 'keys', 'revoke', view.id], { ...door(0).env, LAI_PORT: '9' }).output();
    const revokedAtMs = performance.now();
    expect((await stream).errors.map(({ code }) => code)).toEqual(['invalid_api_key']);
    expect(performance.now() - revokedAtMs).toBeLessThan(8_000);
  });
});
