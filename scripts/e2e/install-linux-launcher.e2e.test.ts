/** The launcher as it is installed, with versions that are good, crash, hang, or cannot even be read. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EXIT_OTHER_VERSION, MAX_STARTS, readRolledBack, readTrial, writeTrial } from '../../agent/src/service/trial.ts';
import { currentVersion, programAt, switchTo } from '../../agent/src/service/versions.ts';
import { Program } from './program.ts';

const ROOT = join(import.meta.dirname, '../..');
const GOOD = `console.log('this is', import.meta.dirname, process.argv.slice(2).join(' '), process.env.LAI_PROGRAM_DIR);`;
const NODE = process.versions.node;

// What an update moves is this, compressed: measured on a real one in install-linux.engines.test.ts.
it('the agent is one file of 2 MB at most', () => {
  expect(statSync(join(ROOT, 'agent/dist/lai-agent.js')).size).toBeLessThanOrEqual(2_000_000);
});

describe.skipIf(process.platform === 'win32')('the launcher', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-launcher-'));
    copyFileSync(join(ROOT, 'agent/dist/lai-launch.js'), join(dir, 'lai-launch.js'));
    copyFileSync(join(ROOT, 'deploy/agent/lai-agent'), join(dir, 'lai-agent'));
    mkdirSync(join(dir, 'runtime', NODE, 'bin'), { recursive: true });
    symlinkSync(process.execPath, join(dir, 'runtime', NODE, 'bin/node'));
    add('0.1.0', GOOD);
    switchTo(programAt(dir), '0.1.0');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const add = (version: string, source: string, runtime = NODE) => {
    const home = join(dir, 'versions', version);
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'lai-agent.js'), source);
    writeFileSync(join(home, 'runtime'), `${runtime}\n`);
  };
  const onTrial = (version: string, deadlineMs: number | null = null) => {
    switchTo(programAt(dir), version);
    writeTrial(dir, { version, previous: '0.1.0', starts: 0, deadlineMs });
  };
  const start = async (...args: string[]) => {
    const program = new Program('lai-agent', args, {}, join(dir, 'lai-agent'));
    const code = await program.exited;
    return { code, text: program.text };
  };
  /** As systemd does it: started again whatever it ended with, as long as it is not told to stop. */
  const startUntilItIs = async (version: string) => {
    const codes = [];
    do codes.push((await start('run')).code);
    while (currentVersion(programAt(dir)) !== version && codes.length < 10);
    return codes;
  };

  it('starts what is current, with its arguments, also when it is called by a link', async () => {
    expect((await start('status', '--json')).text).toContain(`this is ${join(dir, 'versions/0.1.0')} status --json ${dir}`);
    const link = join(dir, 'elsewhere');
    symlinkSync(join(dir, 'lai-agent'), link);
    expect(await new Program('link', ['--version'], {}, link).output()).toContain('versions/0.1.0');
  });

  it('passes on how the version ended', async () => {
    add('0.2.0', 'process.exit(7);');
    switchTo(programAt(dir), '0.2.0');
    expect((await start('run')).code).toBe(7);
    expect(currentVersion(programAt(dir))).toBe('0.2.0');
  });

  it.each([
    ['crashes', 'process.exit(3);', 3],
    ['throws', `throw new Error('boom');`, 1],
    ['cannot be read', 'this is no program', 1],
  ])(`takes a version back that %s ${MAX_STARTS} times`, async (_, source, code) => {
    add('0.2.0', source);
    onTrial('0.2.0');
    expect(await startUntilItIs('0.1.0')).toEqual([...Array(MAX_STARTS).fill(code), EXIT_OTHER_VERSION]);
    expect(readRolledBack(dir)).toMatchObject({ version: '0.2.0' });
    expect(readTrial(dir)).toBeNull();
    expect((await start('run')).text).toContain('versions/0.1.0');
  });

  it('ends a version that hangs when its time is over, and takes it back', async () => {
    // It neither lets the event loop turn nor listens to signals.
    add('0.2.0', `process.on('SIGTERM', () => {}); for (;;);`);
    onTrial('0.2.0', Date.now() + 5_000);
    expect(await startUntilItIs('0.1.0')).toEqual(['SIGKILL', EXIT_OTHER_VERSION]);
    expect(readRolledBack(dir)?.why).toContain('not connected within 60 seconds');
  });

  it('lets a version be that proved itself in time', async () => {
    const proves = `
      const { rmSync } = await import('node:fs');
      rmSync(process.env.LAI_PROGRAM_DIR + '/trial.json');
      setTimeout(() => console.log('still here'), 6_000);`;
    add('0.2.0', proves);
    onTrial('0.2.0', Date.now() + 5_000);
    expect(await start('run')).toMatchObject({ code: 0, text: expect.stringContaining('still here') });
    expect(currentVersion(programAt(dir))).toBe('0.2.0');
  });

  it.each([
    ['is not there', null],
    ['does not run', 'not a program'],
  ])('takes a version back whose Node %s', async (_, node) => {
    add('0.2.0', GOOD, '99.0.0');
    if (node !== null) {
      const path = join(dir, 'runtime/99.0.0/bin/node');
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, node);
      chmodSync(path, 0o755);
    }
    onTrial('0.2.0');
    expect(await startUntilItIs('0.1.0')).toEqual([EXIT_OTHER_VERSION]);
    expect(readRolledBack(dir)?.why).toContain('Node');
  });

  it('commands do not count as starts', async () => {
    add('0.2.0', GOOD);
    onTrial('0.2.0');
    for (let count = 0; count < MAX_STARTS + 2; count += 1) await start('status');
    expect(readTrial(dir)?.starts).toBe(0);
  });

  it('keeps the memory of a version small', async () => {
    add('0.2.0', `console.log(process.execArgv.join(' '));`);
    switchTo(programAt(dir), '0.2.0');
    expect((await start('run')).text).toContain('--max-semi-space-size=1');
    expect((await start('status')).text.trim()).toBe('');
  });

  it('says what to do when nothing is installed', async () => {
    rmSync(join(dir, 'current'));
    expect(await start('run')).toMatchObject({ code: 1, text: expect.stringContaining('lai join-command') });
    expect(readFileSync(join(dir, 'versions/0.1.0/runtime'), 'utf8').trim()).toBe(NODE);
  });
});
