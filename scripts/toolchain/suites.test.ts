import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { afterAll, describe, expect, it } from 'vitest';
import { exitStatus, quietly, suiteProcess } from './children.mjs';
import { closingLine, resultLine, resultOf, slowestFiles, slowestLines, suitesFor } from './suites.mjs';

const dir = mkdtempSync(join(tmpdir(), 'lai suites '));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('choosing suites', () => {
  it('runs the five standard ones, and the engines, browser and clients only by name', () => {
    const names = ['style', 'types', 'unit', 'integration', 'e2e'];
    expect(suitesFor([])?.map(({ name }) => name)).toEqual(names);
    expect(suitesFor(['--with', 'engines'])?.map(({ name }) => name)).toEqual([...names, 'engines']);
    const more = ['engines', 'browser', 'clients'];
    expect(suitesFor(more.flatMap((name) => ['--with', name]))?.map(({ name }) => name)).toEqual([...names, ...more]);
  });
  it.each([[['--with']], [['engines']], [['--with', 'unit']]])('refuses %j', (args) => {
    expect(suitesFor(args)).toBeUndefined();
  });
});

describe('counting a suite', () => {
  const report = (numPassedTests: number, numFailedTests: number, numPendingTests = 0) => ({
    numPassedTests,
    numFailedTests,
    numPendingTests,
    numTodoTests: 0,
  });
  it.each([
    ['what the report says', report(12, 0, 3), true, { passed: 12, failed: 0, skipped: 3 }],
    ['failed tests', report(10, 2), false, { passed: 10, failed: 2, skipped: 0 }],
    ['a file that could not be imported as one failure', report(10, 0), false, { passed: 10, failed: 1, skipped: 0 }],
    ['a missing report as one failure', undefined, true, { passed: 0, failed: 1, skipped: 0 }],
    ['a run of no test as one failure', report(0, 0), true, { passed: 0, failed: 1, skipped: 0 }],
    ['a run whose tests are all skipped as green', report(0, 0, 4), true, { passed: 0, failed: 0, skipped: 4 }],
    ['a report that is not one as one failure', 'nonsense', true, { passed: 0, failed: 1, skipped: 0 }],
  ])('takes %s', (_, written, ok, expected) => {
    expect(resultOf('unit', written, ok)).toEqual({ name: 'unit', ...expected });
  });

  it('sums up in one plain line that nothing else looks like', () => {
    const results = [
      { name: 'style', passed: 1, failed: 0, skipped: 0 },
      { name: 'unit', passed: 40, failed: 2, skipped: 1 },
    ];
    expect(closingLine(results)).toBe('41 passed, 2 failed');
    expect(results.map(resultLine)).toEqual(['  style        1 ok', '  unit         40 ok, 2 NOT OK, 1 left out']);
  });
});

describe('the slowest files', () => {
  const took = (name: string, ms: number) => ({ name: `/clone/${name}`, startTime: 1_000, endTime: 1_000 + ms });
  it('come from all reports, longest first, five of them', () => {
    const reports = [
      { testResults: [took('a.test.ts', 20), took('b.test.ts', 70_120)] },
      undefined,
      'nonsense',
      { testResults: [took('c.test.ts', 3_000), took('d.test.ts', 1), took('e.test.ts', 2), took('f.test.ts', 3)] },
    ];
    expect(slowestLines(slowestFiles(reports), '/clone/')).toEqual([
      '   70.1 s  b.test.ts',
      '    3.0 s  c.test.ts',
      '    0.0 s  a.test.ts',
      '    0.0 s  f.test.ts',
      '    0.0 s  e.test.ts',
    ]);
  });
});

describe('running programs', () => {
  it('reports the exit status that a shell would', () => {
    expect(exitStatus(3, null)).toBe(3);
    expect(exitStatus(null, 'SIGTERM')).toBe(143);
    expect(exitStatus(null, 'SIGINT')).toBe(130);
  });
  it('keeps the output of quiet ones and survives missing ones', async () => {
    expect(await quietly('sh', ['-c', 'echo out; echo err >&2; exit 1'], { env })).toEqual({ ok: false, output: 'out\nerr' });
    expect(await quietly('lai-no-such-program', [], { env })).toMatchObject({ ok: false });
  });
  it('passes a signal to the whole group on exactly once, and the exit status back', async () => {
    const children = new URL('./children.mjs', import.meta.url).href;
    const program = `let n = 0; process.on('SIGTERM', () => { n += 1; setTimeout(() => process.exit(40 + n), 100); });
      console.log('ready'); setInterval(() => {}, 1000);`;
    const parent = `import { foreground } from ${JSON.stringify(children)};
      process.exit(await foreground(process.execPath, ['-e', ${JSON.stringify(program)}], { env: process.env, alone: true }));`;
    const started = spawn(process.execPath, ['--input-type=module', '-e', parent], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(started.stdout, 'data');
    process.kill(-(started.pid ?? 0), 'SIGTERM');
    expect(await once(started, 'exit')).toEqual([41, null]);
  });
  it('stops a suite at its deadline, and whatever it started with it', async () => {
    const marker = join(dir, 'child.pid');
    writeFileSync(join(dir, 'suite.sh'), `sleep 60 & echo $! > "${marker}"\nwait\n`);
    const ended = await suiteProcess('sh', [join(dir, 'suite.sh')], { env, cwd: dir, limitMs: 3_000 });
    expect(ended).toEqual({ ok: false, late: true });
    await expect.poll(() => isRunning(marker)).toBe(false);
  });
  it('ends what a suite left running when the suite itself is done', async () => {
    const marker = join(dir, 'left.pid');
    const ended = await suiteProcess('sh', ['-c', `sleep 60 & echo $! > "${marker}"`], { env, cwd: dir, limitMs: 5_000 });
    expect(ended).toEqual({ ok: true, late: false });
    await expect.poll(() => isRunning(marker)).toBe(false);
  });
});

/** Whether the process whose id is in the file still runs; one that is dead but not yet collected (Z) does not. */
function isRunning(file: string): boolean {
  const pid = Number(readFileSync(file, 'utf8'));
  try {
    process.kill(pid, 0);
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && existsSync('/proc/1') === false;
  }
}
