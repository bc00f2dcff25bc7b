import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { EngineProcess } from './engine-process.ts';

const until = async (what: string, isTrue: () => boolean, limitMs = 10_000): Promise<void> => {
  const deadlineMs = performance.now() + limitMs;
  while (!isTrue()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}`);
    await pause(10);
  }
};

/** A zombie nobody has buried yet holds nothing any more. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}/stat`) || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
};

/** Programs in place of engines; each tells its process ids on stdout, one a line. */
const programs = {
  obedient: 'console.log(process.pid); setInterval(() => {}, 1000)',
  stubborn: "process.on('SIGTERM', () => console.log('no')); console.log(process.pid); setInterval(() => {}, 1000)",
  /** Goes when it is told to and forgets its runner, which does not. */
  parent: `
    const runner = require('node:child_process').spawn(process.execPath, ['-e',
      "process.on('SIGTERM', () => {}); process.send('ready'); setInterval(() => {}, 1000)"],
      { stdio: ['ignore', process.argv[1] === 'shares' ? 'inherit' : 'ignore', 'ignore', 'ipc'] });
    runner.once('message', () => { console.log(process.pid); console.log(runner.pid); runner.unref(); runner.channel.unref(); });
    setInterval(() => {}, 1000)`,
  shortLived: 'console.log(process.pid); process.exit(3)',
};

const setUp = (program: string, ...args: string[]) => {
  const lines: string[] = [];
  const warnings: Record<string, unknown>[] = [];
  const starts: number[] = [];
  const log = pino(
    { level: 'debug' },
    { write: (line) => warnings.push(...[JSON.parse(line)].filter(({ level }) => level >= 40)) },
  );
  const engine = new EngineProcess({
    command: () => {
      starts.push(performance.now());
      return { file: process.execPath, args: ['-e', program, ...args] };
    },
    log,
    onStdout: (line) => lines.push(line),
  });
  onTestFinished(async () => {
    await engine.close();
    for (const pid of pids()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  const pids = () => lines.map(Number).filter((pid) => pid > 0);
  return { engine, lines, pids, starts, warnings };
};

const waitIsAlwaysAlmostTheWholeCap = () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.1);
  onTestFinished(() => void vi.restoreAllMocks());
};

describe('the process of an engine', () => {
  it('hands on what it prints, line by line, and is gone when it was closed', async () => {
    const { engine, pids } = setUp(programs.obedient);
    engine.start();
    await until('the engine runs', () => pids().length === 1);
    expect(pids()).toEqual([engine.pid]);
    await engine.close();
    expect(pids().filter(isAlive)).toEqual([]);
    expect(engine.pid).toBeUndefined();
  });

  it('gets the environment it is to have on top of ours', async () => {
    const lines: string[] = [];
    const engine = new EngineProcess({
      command: () => ({
        file: process.execPath,
        args: ['-e', 'console.log(process.env.LAI_TEST, !!process.env.PATH); setInterval(() => {}, 1000)'],
        env: { LAI_TEST: 'yes' },
      }),
      log: pino({ level: 'silent' }),
      onStdout: (line) => lines.push(line),
    });
    onTestFinished(() => engine.close());
    engine.start();
    await until('it has spoken', () => lines.length > 0);
    expect(lines).toEqual(['yes true']);
  });

  it('is started again when it dies, after a longer wait each time', async () => {
    waitIsAlwaysAlmostTheWholeCap();
    const { engine, pids, starts, warnings } = setUp(programs.shortLived);
    engine.start();
    await until('it was started four times', () => starts.length === 4);
    await engine.close();
    // A tenth of 1 s, 2 s and 4 s.
    expect(warnings.slice(0, 3).map(({ waitMs }) => waitMs)).toEqual([100, 200, 400]);
    expect(warnings[0]).toMatchObject({ exitCode: 3 });
    expect(new Set(pids()).size).toBe(pids().length);
    starts.slice(1).forEach((startedMs, index) => {
      expect(startedMs - (starts[index] ?? 0)).toBeGreaterThanOrEqual([99, 199, 399][index] ?? 0);
    });
  });

  it('is started again when somebody kills it', async () => {
    waitIsAlwaysAlmostTheWholeCap();
    const { engine, pids, warnings } = setUp(programs.obedient);
    engine.start();
    await until('the engine runs', () => pids().length === 1);
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    await until('it runs again', () => pids().length === 2);
    expect(engine.pid).toBe(pids()[1]);
    expect(warnings[0]).toMatchObject({ signal: 'SIGKILL' });
  });

  it('is not started again after it was closed, also when it was about to be', async () => {
    const { engine, starts, warnings } = setUp(programs.shortLived);
    vi.spyOn(Math, 'random').mockReturnValue(0.01);
    onTestFinished(() => void vi.restoreAllMocks());
    engine.start();
    await until('it died', () => warnings.length === 1);
    await engine.close();
    engine.start();
    await pause(50);
    expect(starts).toHaveLength(1);
  });

  it('that cannot be found is tried again like one that died', async () => {
    waitIsAlwaysAlmostTheWholeCap();
    let tries = 0;
    const engine = new EngineProcess({
      command: () => {
        tries += 1;
        return { file: path.join(emptyFolder(), 'no-such-engine'), args: [] };
      },
      log: pino({ level: 'silent' }),
    });
    onTestFinished(() => engine.close());
    engine.start();
    await until('it was tried twice', () => tries === 2);
    await engine.close();
  });

  it('is killed when it does not go by itself', { timeout: 15_000 }, async () => {
    const { engine, lines, pids } = setUp(programs.stubborn);
    engine.start();
    await until('the engine runs', () => pids().length === 1);
    const startedMs = performance.now();
    await engine.close();
    expect(performance.now() - startedMs).toBeGreaterThan(2_900);
    expect(lines).toContain('no');
    expect(pids().filter(isAlive)).toEqual([]);
  });
});

describe.runIf(process.platform !== 'win32').each([
  ['of its own', ''],
  ['that shares its pipes', 'shares'],
])('an engine with a runner process %s', (_, pipes) => {
  it('leaves none behind when it is closed', { timeout: 15_000 }, async () => {
    const { engine, pids } = setUp(programs.parent, pipes);
    engine.start();
    await until('engine and runner run', () => pids().length === 2);
    await engine.close();
    await until('both are gone', () => !pids().some(isAlive));
  });

  it('leaves none behind when it dies, and is started again', { timeout: 15_000 }, async () => {
    waitIsAlwaysAlmostTheWholeCap();
    const { engine, pids } = setUp(programs.parent, pipes);
    engine.start();
    await until('engine and runner run', () => pids().length === 2);
    const [parent = 0, runner = 0] = pids();
    process.kill(parent, 'SIGKILL');
    await until('the runner is gone', () => !isAlive(runner));
    await until('engine and runner run again', () => pids().length === 4);
  });
});

const emptyFolder = (): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-engine-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};
