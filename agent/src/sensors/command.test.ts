import { describe, expect, it } from 'vitest';
import { runCommand } from './command.ts';

const run = (script: string, deadlineMs = 4_000, signal = new AbortController().signal) =>
  runCommand({ file: process.execPath, args: ['-e', script], deadlineMs, signal });

describe('a vendor command', () => {
  it('gives what it printed and how it ended, failing or not', async () => {
    expect(await run('console.log("out"); console.error("err"); process.exitCode = 3')).toEqual({
      kind: 'ran',
      stdout: 'out',
      stderr: 'err',
      exitCode: 3,
    });
  });

  it('is missing, not broken, when the program is', async () => {
    const signal = new AbortController().signal;
    expect(await runCommand({ file: 'no-such-program', args: [], deadlineMs: 1_000, signal })).toEqual({ kind: 'missing' });
  });

  it('is ended at its deadline', async () => {
    expect(await run('setInterval(() => {}, 1000)', 200)).toEqual({ kind: 'unfinished', reason: 'no answer within 200 ms' });
  });

  it('is ended by its signal', async () => {
    expect((await run('setInterval(() => {}, 1000)', 4_000, AbortSignal.timeout(100))).kind).toBe('unfinished');
  });
});
