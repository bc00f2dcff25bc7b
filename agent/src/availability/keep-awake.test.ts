import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { awakeCommand, KeepAwake } from './keep-awake.ts';

const until = async (isTrue: () => boolean, what: string) => {
  const deadlineMs = performance.now() + 4_000;
  while (!isTrue()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}`);
    await pause(10);
  }
};

/** A program that writes down its arguments, stays until its input ends, and then says that it went. */
const setUp = (releaseAfterMs = 0, script = 'cat > /dev/null') => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-awake-'));
  const file = path.join(folder, 'fake');
  writeFileSync(
    file,
    `#!/bin/sh\nprintf '%s\\n' "$@" > '${folder}/args.draft'; mv '${folder}/args.draft' '${folder}/args'\n${script}\necho gone > '${folder}/gone'\n`,
  );
  chmodSync(file, 0o755);
  const command = awakeCommand('linux', 42);
  const awake = new KeepAwake({ log: pino({ level: 'silent' }), command: { file, args: command?.args ?? [] }, releaseAfterMs });
  onTestFinished(async () => {
    await awake.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const has = (name: string) => existsSync(path.join(folder, name));
  return { awake, has, args: () => readFileSync(path.join(folder, 'args'), 'utf8').trim().split('\n') };
};

describe('the program that keeps a machine awake', () => {
  it('is caffeinate on a Mac: no sleep when idle, and it ends with us', () => {
    expect(awakeCommand('darwin', 42)).toEqual({ file: 'caffeinate', args: ['-i', '-w', '42'] });
  });

  it('is systemd-inhibit on Linux, around a program that ends with its input', () => {
    expect(awakeCommand('linux', 42)).toEqual({
      file: 'systemd-inhibit',
      args: ['--what=sleep:idle', '--who=Lai', '--why=answering requests of the fleet', '--mode=block', 'cat'],
    });
  });

  it('is a PowerShell that asks and waits for its input to end on Windows', () => {
    const { file, args } = awakeCommand('win32', 42) ?? { file: '', args: [] };
    expect([file, ...args.slice(0, 3)]).toEqual(['powershell.exe', '-NoProfile', '-NonInteractive', '-Command']);
    expect(args[3]).toContain('SetThreadExecutionState([uint32] 2147483649)');
    expect(args[3]).toMatch(/\[Console\]::In\.ReadToEnd\(\)$/);
  });

  it('is none elsewhere', () => {
    expect(awakeCommand('sunos', 42)).toBeNull();
  });
});

describe.runIf(process.platform !== 'win32')('a machine', () => {
  it('is kept awake while it works, once, and let go afterwards', async () => {
    const { awake, has, args } = setUp();
    awake.set(true);
    awake.set(true);
    await until(() => has('args'), 'the program runs');
    expect(args()).toEqual(['--what=sleep:idle', '--who=Lai', '--why=answering requests of the fleet', '--mode=block', 'cat']);
    expect(awake.isHeld).toBe(true);
    awake.set(false);
    await until(() => !awake.isHeld, 'it is let go');
  });

  it('is not let go between two requests', async () => {
    const { awake, has } = setUp(60_000);
    awake.set(true);
    await until(() => has('args'), 'the program runs');
    awake.set(false);
    awake.set(true);
    expect(awake.isHeld).toBe(true);
  });

  it('that cannot be kept awake is not asked again at once', async () => {
    const { awake, has } = setUp(0, 'exit 1');
    awake.set(true);
    await until(() => has('args') && !awake.isHeld, 'the program refused');
    awake.set(true);
    expect(awake.isHeld).toBe(false);
  });
});
