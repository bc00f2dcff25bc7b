import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { keepToken, readLocalAddress } from './local-files.ts';
import { type LocalVerbs, openLocalDoor } from './local-http.ts';
import type { LocalStatus } from './local-status.ts';

const setUp = async (port = 0, { hasDesktop = false } = {}) => {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'lai-door-'));
  if (hasDesktop) mkdirSync(path.join(dataDir, 'desktop'));
  const calls: unknown[] = [];
  const verbs: LocalVerbs = {
    update: () => null,
    desktop: (report) => calls.push(['desktop', report]),
    status: () => ({ version: 1, node: { name: 'attic' } }) as LocalStatus,
    gaming: (wish) =>
      calls.push(['gaming', wish.mode, wish.untilMs === null ? null : Math.round((wish.untilMs - Date.now()) / 1_000)]),
    stopAll: () => calls.push(['stop-all']),
    drain: (isDraining) => calls.push(['drain', isDraining]),
    pull: (model) =>
      model === 'none'
        ? null
        : (async function* () {
            yield { completedBytes: 1 };
            if (model === 'bad') throw new Error('no such model');
            yield { isDone: true };
          })(),
  };
  const door = await openLocalDoor({ dataDir, port, verbs, log: pino({ level: 'silent' }) });
  onTestFinished(async () => {
    await door.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const { token } = readLocalAddress(dataDir) ?? { token: '' };
  const ask = (method: string, route: string, body?: unknown, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const request = http.request(
        {
          host: '127.0.0.1',
          port: door.port,
          method,
          path: route,
          headers: { authorization: `Bearer ${token}`, ...(text ? { 'content-type': 'application/json' } : {}), ...headers },
        },
        (response) => {
          let answer = '';
          response.setEncoding('utf8').on('data', (piece: string) => {
            answer += piece;
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text: answer }));
        },
      );
      request.on('error', reject);
      request.end(text);
    });
  return { dataDir, door, calls, ask };
};

describe('the local door', () => {
  it('tells the status', async () => {
    const { ask } = await setUp();
    const { status, text } = await ask('GET', '/status');
    expect([status, JSON.parse(text)]).toEqual([200, { version: 1, node: { name: 'attic' } }]);
  });

  it.each([
    [{ mode: 'on' }, ['gaming', 'on', null]],
    [{ mode: 'off', for: '2h' }, ['gaming', 'off', 7_200]],
    [{ mode: 'auto' }, ['gaming', 'auto', null]],
  ])('takes the wish %j', async (wish, call) => {
    const { ask, calls } = await setUp();
    expect((await ask('POST', '/gaming-mode', wish)).status).toBe(200);
    expect(calls).toEqual([call]);
  });

  it('stops everything and drains', async () => {
    const { ask, calls } = await setUp();
    expect((await ask('POST', '/stop-all')).status).toBe(202);
    await ask('POST', '/drain', { isDraining: true });
    expect(calls).toEqual([['stop-all'], ['drain', true]]);
  });

  it.each<[string, string, unknown, Record<string, string>, number]>([
    ['a mode that is none', '/gaming-mode', { mode: 'maybe' }, {}, 400],
    ['a time that is none', '/gaming-mode', { mode: 'on', for: 'ages' }, {}, 400],
    ['a form of a web page', '/gaming-mode', { mode: 'on' }, { 'content-type': 'text/plain' }, 400],
    ['a rebound name', '/stop-all', undefined, { host: 'evil.example' }, 421],
    ['a web page', '/stop-all', undefined, { origin: 'http://evil.example' }, 403],
    ['a stranger', '/stop-all', undefined, { authorization: 'Bearer x' }, 401],
    ['a route that is none', '/shutdown', {}, {}, 404],
    ['a body that never ends', '/drain', { isDraining: true, padding: 'x'.repeat(100_000) }, {}, 400],
  ])('refuses %s', async (_, route, body, headers, status) => {
    const { ask, calls } = await setUp();
    expect((await ask('POST', route, body, headers)).status).toBe(status);
    expect(calls).toEqual([]);
  });

  it('streams the news of a download, its failure too', async () => {
    const { ask } = await setUp();
    const lines = (text: string) =>
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    expect(lines((await ask('POST', '/pull', { model: 'good' })).text)).toEqual([{ completedBytes: 1 }, { isDone: true }]);
    expect(lines((await ask('POST', '/pull', { model: 'bad' })).text)).toEqual([
      { completedBytes: 1 },
      { error: 'no such model' },
    ]);
    expect((await ask('POST', '/pull', { model: 'none' })).status).toBe(409);
  });

  it('takes another port when its own is taken, and says which', async () => {
    const first = await setUp();
    const second = await setUp(first.door.port);
    expect(second.door.port).not.toBe(first.door.port);
    expect(Number(readFileSync(path.join(second.dataDir, 'local.port'), 'utf8'))).toBe(second.door.port);
  });

  it('is not on the network', async () => {
    const { door } = await setUp();
    await expect(fetch(`http://[::1]:${door.port}/status`)).rejects.toThrow();
  });

  it('leaves no address behind', async () => {
    const { dataDir, door } = await setUp();
    await door.close();
    expect(readLocalAddress(dataDir)).toBeNull();
  });
});

describe.runIf(process.platform !== 'win32')('the token', () => {
  it('stays the same over restarts, and is for its owner alone', () => {
    const dataDir = mkdtempSync(path.join(tmpdir(), 'lai-token-'));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const token = keepToken(dataDir);
    expect(keepToken(dataDir)).toBe(token);
    expect(statSync(path.join(dataDir, 'local.token')).mode & 0o777).toBe(0o600);
    chmodSync(path.join(dataDir, 'local.token'), 0o644);
    expect(keepToken(dataDir)).not.toBe(token);
  });
});

describe('the desktop’s key', () => {
  const look = { session: 2, steamAppId: 730, notificationState: 3 };
  const keyOf = (dataDir: string) => JSON.parse(readFileSync(path.join(dataDir, 'desktop', 'door.json'), 'utf8'));

  it('opens for what the desktop shows, and for nothing else', async () => {
    const { dataDir, door, calls, ask } = await setUp(0, { hasDesktop: true });
    const { port, token } = keyOf(dataDir);
    const authorization = `Bearer ${token}`;
    expect(port).toBe(door.port);
    expect((await ask('POST', '/desktop', look, { authorization })).status).toBe(202);
    expect(calls).toEqual([['desktop', look]]);
    for (const [method, route] of [
      ['GET', '/status'],
      ['POST', '/stop-all'],
      ['POST', '/pull'],
      ['POST', '/update'],
    ] as const)
      expect((await ask(method, route, method === 'POST' ? {} : undefined, { authorization })).status).toBe(401);
    expect((await ask('POST', '/desktop', { ...look, session: 'x' }, { authorization })).status).toBe(400);
    expect((await ask('POST', '/desktop', look)).status).toBe(401);
  });

  it('is another one at each start, and gone with the agent', async () => {
    const { dataDir, door } = await setUp(0, { hasDesktop: true });
    await door.close();
    expect(existsSync(path.join(dataDir, 'desktop', 'door.json'))).toBe(false);
  });

  it('is not made where nothing was installed for it', async () => {
    const { dataDir } = await setUp();
    expect(existsSync(path.join(dataDir, 'desktop'))).toBe(false);
  });

  it.each(['//', '//evil.example/status', '/\\x', '*', 'http://127.0.0.1/status'])(
    'refuses %j as no address, and goes on',
    async (target) => {
      const { ask } = await setUp();
      expect([400, 404]).toContain((await ask('GET', target)).status);
      expect((await ask('GET', '/status')).status).toBe(200);
    },
  );
});
