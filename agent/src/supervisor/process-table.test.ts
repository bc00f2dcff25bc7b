import { spawn } from 'node:child_process';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseCimProcesses, parseLinuxStat, parsePs, processTree, readProcessTable } from './process-table.ts';

describe('the table of processes', () => {
  it('is read from Linux whatever a program calls itself', () => {
    const fields = '1 712 712 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 188723 1234';
    expect(parseLinuxStat(`715 (odd) name (x) S ${fields}`)).toEqual({
      pid: 715,
      parentPid: 1,
      groupId: 712,
      startedAt: '188723',
    });
    expect(parseLinuxStat(`715 (dead) Z ${fields}`)).toBeNull();
    expect(parseLinuxStat('')).toBeNull();
  });

  it('is read from ps', () => {
    expect(
      parsePs(
        '  712     1   712 Sat Nov 21 10:11:12 2026     /opt/ollama serve\n 99999 712 712 Sat Nov  7 01:02:03 2026 runner\nno line\n',
      ),
    ).toEqual([
      { pid: 712, parentPid: 1, groupId: 712, startedAt: 'Sat Nov 21 10:11:12 2026', command: '/opt/ollama serve' },
      { pid: 99999, parentPid: 712, groupId: 712, startedAt: 'Sat Nov  7 01:02:03 2026', command: 'runner' },
    ]);
  });

  it('is read from PowerShell, one process or several', () => {
    const row = { ProcessId: 4, ParentProcessId: 0, CommandLine: null, Started: 133_769_000_000_000_000 };
    const entry = { pid: 4, parentPid: 0, groupId: null, startedAt: '133769000000000000', command: '' };
    expect(parseCimProcesses(JSON.stringify(row))).toEqual([entry]);
    expect(parseCimProcesses(JSON.stringify([row, { ...row, ProcessId: 5 }]))).toEqual([entry, { ...entry, pid: 5 }]);
    expect(parseCimProcesses('')).toEqual([]);
  });

  it('has this process and what it started', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const table = await readProcessTable();
    expect(processTree(table, process.pid).has(child.pid ?? 0)).toBe(true);
    expect(processTree(table, child.pid ?? 0)).toEqual(new Set([child.pid]));
  });
});
