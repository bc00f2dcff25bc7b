import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findRedisServer } from '../../coordinator/src/redis/embedded.ts';
import { Program } from '../e2e/program.ts';
import type { Report } from './report.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** One of each kind of stage: streams and the OpenAI client, replicas with crowds and jobs, Redis, a card, the simulation. */
const SOME = ['T2', 'T7', 'T9', 'T20', 'T30'];
const TINY = '0.001';
const LIMIT_MS = 240_000;

const obstacle =
  process.platform === 'win32'
    ? 'processes cannot be killed by signals here'
    : findRedisServer(env['PATH'] ?? '') === null
      ? 'there is no redis-server'
      : null;
if (obstacle !== null) console.warn(`The fault report is not tried: ${obstacle}.`);

/** That the report can still be made, and that nothing is lost or doubled in it; how fast things heal is not judged on a machine that does other work. */
describe.skipIf(obstacle !== null)('the fault report', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lai-faults-test-'));
  let report: Report;
  let text: string;
  let status: unknown;

  beforeAll(async () => {
    const file = join(folder, 'report.json');
    const args = ['--scale', TINY, '--seed', '7', '--only', SOME.join(','), '--json', file, '--history', join(folder, 'history')];
    const program = new Program('faults', [join(root, 'scripts', 'faults', 'main.ts'), ...args], { NO_COLOR: '1' });
    try {
      await program.until(/^Again: /m, LIMIT_MS);
      status = await program.exited;
    } finally {
      program.kill('SIGTERM');
    }
    text = program.text;
    report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  }, LIMIT_MS + 10_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('plays every fault to its end', () => {
    expect(report.results.map(({ id }) => id)).toEqual(SOME);
    expect(report.results.flatMap(({ misses }) => misses).filter((miss) => miss.includes('could not be played'))).toEqual([]);
  });

  it('finds nothing lost and nothing doubled', () => {
    expect(report.results.map(({ id, lost, doubled }) => ({ id, lost, doubled }))).toEqual(
      SOME.map((id) => ({ id, lost: 0, doubled: 0 })),
    );
  });

  it('says on one page what held and how to see it again, and fails when something did not', () => {
    for (const { title } of report.results) expect(text).toContain(title);
    expect(text).toMatch(new RegExp(`^Again: npm run faults -- --scale ${TINY} --seed 7 --only ${SOME.join(',')}$`, 'm'));
    expect(status).toBe(report.results.some(({ misses }) => misses.length > 0) ? 1 : 0);
  });
});
