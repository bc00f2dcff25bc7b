import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
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
};

const setUp = (program: string, ...args: string[]) => {
  const lines: string[] = [];
  const run = () => {
    const engine = new EngineProcess({ file: process.execPath, args: ['-e', program, ...args] }, (line) => lines.push(line));
    onTestFinished(async () => {
      await engine.stop();
      for (const pid of pids()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    });
    return engine;
  };
  const pids = () => lines.map(Number).filter((pid) => pid > 0);
  return { run, lines, pids };
};

describe('the process of an engine', () => {
  it('hands on what it prints, line by line, and is gone when it was stopped', async () => {
    const { run, pids } = setUp(programs.obedient);
    const engine = run();
    await until('the engine runs', () => pids().length === 1);
    expect(pids()).toEqual([engine.pid]);
    await engine.stop();
    expect(pids().filter(isAlive)).toEqual([]);
    expect(await engine.exited).toMatchObject({ exitCode: null, signal: 'SIGTERM' });
  });

  it('gets the environment it is to have on top of ours', async () => {
    const lines: string[] = [];
    const print = 'console.log(process.env.LAI_TEST, !!process.env.PATH); setInterval(() => {}, 1000)';
    const engine = new EngineProcess({ file: process.execPath, args: ['-e', print], env: { LAI_TEST: 'yes' } }, (line) =>
      lines.push(line),
    );
    onTestFinished(() => engine.stop());
    await until('it has spoken', () => lines.length > 0);
    expect(lines).toEqual(['yes true']);
  });

  it('tells how it ended, and its last words', async () => {
    const { run } = setUp("console.error('CUDA error: out of memory'); process.exit(3)");
    expect(await run().exited).toEqual({
      how: 'ended with exit code 3, saying "CUDA error: out of memory"',
      exitCode: 3,
      signal: null,
    });
  });

  it('sees nothing of our environment but what it needs', async () => {
    process.env['LAI_TEST_SECRET_KEY'] = 'hidden';
    onTestFinished(() => void delete process.env['LAI_TEST_SECRET_KEY']);
    const lines: string[] = [];
    const source =
      'console.log(JSON.stringify([process.env.LAI_TEST_SECRET_KEY, process.env.OLLAMA_HOST, typeof process.env.PATH]))';
    const command = { file: process.execPath, args: ['-e', source], env: { OLLAMA_HOST: '127.0.0.1:1' } };
    await new EngineProcess(command, (line) => lines.push(line)).exited;
    expect(lines).toContain('[null,"127.0.0.1:1","string"]');
  });

  it('tells that it could not be started', async () => {
    const engine = new EngineProcess({ file: path.join(emptyFolder(), 'no-such-engine'), args: [] }, () => {});
    expect(engine.pid).toBeUndefined();
    expect((await engine.exited).how).toBe('could not be started (ENOENT)');
  });

  it('is killed when it does not go by itself', { timeout: 15_000 }, async () => {
    const { run, lines, pids } = setUp(programs.stubborn);
    const engine = run();
    await until('the engine runs', () => pids().length === 1);
    const startedMs = performance.now();
    await engine.stop();
    expect(performance.now() - startedMs).toBeGreaterThan(2_900);
    expect(lines).toContain('no');
    expect(pids().filter(isAlive)).toEqual([]);
  });
});

describe.runIf(process.platform !== 'win32').each([
  ['of its own', ''],
  ['that shares its pipes', 'shares'],
])('an engine with a runner process %s', (_, pipes) => {
  it('leaves none behind when it is stopped', { timeout: 15_000 }, async () => {
    const { run, pids } = setUp(programs.parent, pipes);
    const engine = run();
    await until('engine and runner run', () => pids().length === 2);
    await engine.stop();
    await until('both are gone', () => !pids().some(isAlive));
  });

  it('leaves none behind when it dies', { timeout: 15_000 }, async () => {
    const { run, pids } = setUp(programs.parent, pipes);
    run();
    await until('engine and runner run', () => pids().length === 2);
    const [parent = 0, runner = 0] = pids();
    process.kill(parent, 'SIGKILL');
    await until('the runner is gone', () => !isAlive(runner));
  });
});

const emptyFolder = (): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-engine-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};
