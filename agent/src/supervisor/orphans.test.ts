import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { orphansOf, PidFiles, type PidRecord } from './orphans.ts';
import type { ProcessEntry } from './process-table.ts';

const record: PidRecord = { engine: 'llama-server', pid: 700, startedAt: '55', command: 'llama-server' };
const entry = (pid: number, change: Partial<ProcessEntry> = {}): ProcessEntry => ({
  pid,
  parentPid: 1,
  groupId: pid,
  startedAt: '99',
  command: 'x',
  ...change,
});

describe('what is left of an engine of an earlier run', () => {
  it.each<[string, ProcessEntry[], number[]]>([
    ['nothing, when all of it is gone', [entry(1), entry(800)], []],
    ['the process itself, when number and start are the recorded ones', [entry(700, { startedAt: '55' }), entry(800)], [700]],
    ['nothing, when the number belongs to a stranger now', [entry(700)], []],
    ['nothing of the group of such a stranger', [entry(700), entry(701, { groupId: 700 })], []],
    ['the process and what it started', [entry(700, { startedAt: '55' }), entry(801, { parentPid: 700 })], [700, 801]],
    ['its runners, when it is dead itself', [entry(701, { groupId: 700 }), entry(702, { groupId: 700 }), entry(9)], [701, 702]],
  ])('%s', (_, table, pids) => {
    expect([...orphansOf(record, table)].sort()).toEqual(pids);
  });
});

describe.runIf(process.platform !== 'win32')('the sweep at start', () => {
  const setUp = () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'lai-run-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return { folder, files: new PidFiles(folder), log: pino({ level: 'silent' }) };
  };
  const startProgram = (): Promise<{ pid: number; gone: Promise<unknown> }> => {
    const child = spawn(process.execPath, ['-e', "console.log('up'); setInterval(() => {}, 1000)"], { detached: true });
    onTestFinished(() => void child.kill('SIGKILL'));
    const gone = new Promise((resolve) => child.once('exit', resolve));
    return new Promise((resolve) => child.stdout.once('data', () => resolve({ pid: child.pid ?? 0, gone })));
  };

  it('ends what an earlier run left behind, and clears its trace', async () => {
    const { folder, files, log } = setUp();
    const { pid, gone } = await startProgram();
    await files.write('engine', pid);
    expect(files.read()).toMatchObject([{ engine: 'engine', pid }]);
    await files.sweep(log);
    await gone;
    expect(readdirSync(folder)).toEqual([]);
  });

  it('spares a stranger who has got the number since', async () => {
    const { folder, files, log } = setUp();
    const { pid } = await startProgram();
    writeFileSync(path.join(folder, 'llama-server.pid.json'), JSON.stringify({ ...record, pid, startedAt: '1' }));
    await files.sweep(log);
    expect(() => process.kill(pid, 0)).not.toThrow();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('has nothing to do in a folder that was never written', async () => {
    const { folder, log } = setUp();
    await new PidFiles(path.join(folder, 'none')).sweep(log);
  });
});
