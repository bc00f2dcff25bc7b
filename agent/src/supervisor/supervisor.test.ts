import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Runtime, RuntimeModel } from '../runtimes/runtime.ts';
import { freePort } from './adopt.ts';
import type { EngineSpec } from './engine.ts';
import { LIFECYCLE_LIMITS } from './lifecycle.ts';
import { type EngineSource, Supervisor } from './supervisor.ts';

const until = async (what: string, isTrue: () => boolean, limitMs = 8_000): Promise<void> => {
  const deadlineMs = performance.now() + limitMs;
  while (!isTrue()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}`);
    await pause(10);
  }
};

/** The least an engine can be: it answers GET / while it lives. */
const runtimeAt = (url: string, kind: Runtime['kind'] = 'llama-server'): Runtime => ({
  kind,
  abilities: {
    load: true,
    unload: 'kills',
    evicts: false,
    spillsToMemory: false,
    pull: false,
    delete: false,
    routes: ['chat.completions'],
  },
  report: () => ({ kind, version: '1', state: 'ready', mode: 'adopted', isSimulated: false, detail: null }),
  listModels: async (signal) => {
    await (await fetch(url, { signal })).text();
    return [{ id: 'm' }] as RuntimeModel[];
  },
  loadModel: async () => {},
  unloadModel: async () => {},
  endpoint: () => ({ url: new URL(url), headers: {} }),
  close: async () => {},
});

const PROGRAM = `
  const [port, lifeMs] = process.argv.slice(1).map(Number);
  console.log('engine', process.pid);
  require('node:http').createServer((_, res) => res.end('{}')).listen(port, '127.0.0.1');
  if (lifeMs) setTimeout(() => { console.error('out of luck'); process.exit(7); }, lifeMs)`;

const setUp = () => {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'lai-sup-'));
  const seen = { models: [] as string[], lost: 0, warnings: [] as Record<string, unknown>[] };
  const busy = { inFlight: 0, isLoading: false, warmChatModel: null as string | null };
  const make = (sources: EngineSource[]) => {
    const supervisor = new Supervisor({
      sources,
      dataDir,
      log: pino({ level: 'warn' }, { write: (line) => seen.warnings.push(JSON.parse(line)) }),
      limits: { ...LIFECYCLE_LIMITS, backoffBaseMs: 20, backoffCapMs: 40, crashCap: 3 },
      events: {
        models: (runtime, models) => seen.models.push(`${runtime.kind} ${models.length}`),
        lost: () => {
          seen.lost += 1;
        },
        changed: () => {},
        load: () => busy,
      },
    });
    onTestFinished(() => supervisor.close());
    return supervisor;
  };
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  return { dataDir, seen, busy, make };
};

const owned = async (lifeMs = 0, name = 'owned'): Promise<EngineSource> => {
  const port = await freePort();
  return {
    name,
    yieldsTo: ['adopted'],
    find: async (): Promise<EngineSpec> => ({
      name,
      runtime: runtimeAt(`http://127.0.0.1:${port}`),
      sentence: 'running it',
      command: () => ({ file: process.execPath, args: ['-e', PROGRAM, String(port), String(lifeMs)] }),
    }),
  };
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('an engine of our own', () => {
  it('is started, is ready when it answers, and is gone when we are', { timeout: 15_000 }, async () => {
    const { dataDir, seen, make } = setUp();
    const supervisor = make([await owned()]);
    await supervisor.start();
    await until('it is ready', () => supervisor.reports()[0]?.state === 'ready');
    expect(supervisor.reports()[0]).toMatchObject({ mode: 'owned', version: '1', detail: null });
    expect(seen.models).toContain('llama-server 1');
    const pid = supervisor.engines[0]?.pid ?? 0;
    expect(JSON.parse(readFileSync(path.join(dataDir, 'run', 'owned.pid.json'), 'utf8'))).toMatchObject({ pid });
    expect(readFileSync(path.join(dataDir, 'logs', 'owned.log'), 'utf8')).toContain(`engine ${pid}`);
    expect(await supervisor.ownPids()).toEqual(new Set([pid]));
    await supervisor.close();
    expect(isAlive(pid)).toBe(false);
  });

  it('is started again when somebody kills it', { timeout: 15_000 }, async () => {
    const { seen, make } = setUp();
    const supervisor = make([await owned()]);
    await supervisor.start();
    await until('it is ready', () => supervisor.reports()[0]?.state === 'ready');
    const pid = supervisor.engines[0]?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until('its models are lost', () => seen.lost > 0);
    await until('another one is ready', () => supervisor.reports()[0]?.state === 'ready' && supervisor.engines[0]?.pid !== pid);
    expect(seen.warnings.at(-1)?.['msg']).toMatch(/engine stopped: was ended by SIGKILL/);
  });

  it('that dies again and again is left alone, and says why', { timeout: 15_000 }, async () => {
    const { make } = setUp();
    const supervisor = make([await owned(1)]);
    await supervisor.start();
    await until('it is quarantined', () => supervisor.engines[0]?.life.phase === 'quarantined');
    expect(supervisor.reports()[0]).toMatchObject({ state: 'failed' });
    expect(supervisor.reports()[0]?.detail).toMatch(/died 3 times.*exit code 7.*out of luck/);
  });

  it('is stopped for the owner and comes back', { timeout: 15_000 }, async () => {
    const { make } = setUp();
    const supervisor = make([await owned()]);
    await supervisor.start();
    await until('it is ready', () => supervisor.reports()[0]?.state === 'ready');
    const pid = supervisor.engines[0]?.pid ?? 0;
    expect(supervisor.canPark).toBe(true);
    await supervisor.park('a game');
    expect(isAlive(pid)).toBe(false);
    expect([supervisor.canPark, supervisor.isParked]).toEqual([false, true]);
    expect(supervisor.reports()[0]).toMatchObject({ state: 'stopped', detail: 'a game' });
    supervisor.unpark();
    await until('it is ready again', () => supervisor.reports()[0]?.state === 'ready');
  });

  it('ends in the wanted state after any quick turns', { timeout: 15_000 }, async () => {
    const { make } = setUp();
    const supervisor = make([await owned()]);
    await supervisor.start();
    for (let turn = 0; turn < 10; turn += 1) {
      void supervisor.park('a game');
      supervisor.unpark();
    }
    await until('it is ready', () => supervisor.reports()[0]?.state === 'ready');
    await supervisor.park('a game');
    expect(supervisor.engines[0]?.life.phase).toBe('stopped');
  });
});

describe('an engine of somebody else', () => {
  const somebodys = async () => {
    const port = await freePort();
    let version = '1.0';
    let server: http.Server | undefined;
    const open = () =>
      new Promise<void>((resolve) => {
        server = http.createServer((_, response) => response.end(JSON.stringify({ version })));
        server.listen(port, '127.0.0.1', resolve);
      });
    const close = () =>
      new Promise<void>((resolve) => {
        server?.closeAllConnections();
        server?.close(() => resolve());
        if (!server) resolve();
      });
    onTestFinished(close);
    const url = `http://127.0.0.1:${port}`;
    const isThere = async () => {
      try {
        return (await (await fetch(url)).json()) as { version: string };
      } catch {
        return null;
      }
    };
    const source: EngineSource = {
      name: 'adopted',
      yieldsTo: [],
      find: async () =>
        (await isThere()) === null ? null : { name: 'adopted', runtime: runtimeAt(url, 'ollama'), sentence: 'adopting it' },
    };
    return {
      open,
      close,
      source,
      become: (next: string) => {
        version = next;
      },
    };
  };

  it('is adopted, missed when it goes, welcomed when it comes back, and outlives us', { timeout: 15_000 }, async () => {
    const { make } = setUp();
    const { open, close, source } = await somebodys();
    await open();
    const supervisor = make([source]);
    await supervisor.start();
    expect(supervisor.reports()[0]).toMatchObject({ state: 'ready', mode: 'adopted' });
    expect([supervisor.canPark, supervisor.engines[0]?.isOwned]).toEqual([false, false]);
    await close();
    supervisor.engines[0]?.look();
    await until('it is missed', () => supervisor.reports()[0]?.state === 'failed');
    expect(supervisor.reports()[0]?.detail).toBe('it went away');
    await open();
    supervisor.engines[0]?.look();
    await until('it is back', () => supervisor.reports()[0]?.state === 'ready');
    await supervisor.park('a game');
    await supervisor.close();
    const handle = { isAlive: () => false, stop: async () => {}, start: () => {}, listen: () => () => [] };
    await expect(source.find(handle)).resolves.not.toBeNull();
  });

  it('is not missed because this machine slept while it was asked', async () => {
    const { seen, make } = setUp();
    const { open, source } = await somebodys();
    await open();
    const supervisor = make([source]);
    await supervisor.start();
    const [engine] = supervisor.engines;
    const { runtime } = engine?.spec ?? expect.fail('no engine');
    // As after any sleep: timers are served before what lies in the sockets, so the limit strikes first.
    vi.spyOn(runtime, 'listModels').mockImplementationOnce(async () => {
      const awoken = performance.now() + 60_000;
      vi.spyOn(performance, 'now').mockReturnValueOnce(awoken);
      throw new DOMException('The operation was aborted due to timeout', 'TimeoutError');
    });
    onTestFinished(() => void vi.restoreAllMocks());
    const before = seen.models.length;
    await engine?.looked();
    expect(seen).toMatchObject({ lost: 0, warnings: [] });
    expect(seen.models).toHaveLength(before + 1);
    expect(supervisor.reports()[0]?.state).toBe('ready');
  });

  it('that comes later is adopted, and the stand-in goes', { timeout: 20_000 }, async () => {
    const { seen, make } = setUp();
    const { open, source } = await somebodys();
    const standIn = await owned(0, 'mock');
    const find = standIn.find;
    const supervisor = make([
      source,
      {
        ...standIn,
        find: async (handle) => {
          const spec = await find(handle);
          return spec && { ...spec, isStandIn: true, mockUrl: 'http://mock' };
        },
      },
    ]);
    await supervisor.start();
    await until('the stand-in is ready', () => supervisor.reports()[0]?.state === 'ready');
    expect(supervisor.mockUrl).toBe('http://mock');
    const pid = supervisor.engines[0]?.pid ?? 0;
    await open();
    await until('it is adopted', () => supervisor.reports().some(({ kind }) => kind === 'ollama'), 12_000);
    await until('the stand-in is gone', () => supervisor.engines.length === 1 && !isAlive(pid), 12_000);
    expect(supervisor.mockUrl).toBeNull();
    expect(seen.models).toContain('llama-server 0');
  });
});
