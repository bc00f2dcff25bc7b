import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const NAME = 'lai-coordinator.service';
const text = readFileSync(join(import.meta.dirname, '../../deploy/coordinator', NAME), 'utf8');
/** Newer ones know more, older ones cannot judge a file that is not installed. */
const hasTool =
  Number(/^systemd (\d+)/.exec(spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]) >= 250;
const about = hasTool ? '' : ' (left out: no systemd-analyze 250 or newer here)';

/** Its exit code is 0 whatever it finds, so anything that it says counts. The program need not be here. */
const analyze = (unit: string, ...words: string[]): { status: number | null; stderr: string } => {
  const dir = mkdtempSync(join(tmpdir(), 'lai-unit-'));
  try {
    writeFileSync(join(dir, NAME), unit.replace('/usr/local/bin/node', '/bin/true'));
    const { status, stderr } = spawnSync('systemd-analyze', [...words, join(dir, NAME)], { encoding: 'utf8' });
    return { status, stderr };
  } finally {
    rmSync(dir, { recursive: true });
  }
};

describe("the coordinator's unit", () => {
  it.skipIf(!hasTool)(`is what systemd takes, without a word${about}`, () => {
    expect(analyze(text, 'verify', '--man=no')).toEqual({ status: 0, stderr: '' });
    expect(analyze(text.replace('NoNewPrivileges', 'NoNewPrivilege'), 'verify', '--man=no').stderr).toContain('NoNewPrivilege');
  });

  it.skipIf(!hasTool)(`is closed: 4.0 of 10 at most${about}`, () => {
    const judge = (unit: string) => analyze(unit, 'security', '--offline=true', '--threshold=40', '--no-pager').status;
    expect(judge(text)).toBe(0);
    expect(judge('[Service]\nExecStart=/bin/true\n')).not.toBe(0);
  });

  it('leaves a VM of 2 GB room for itself, and lets answers finish', () => {
    const value = (key: string) => Number(new RegExp(`^${key}=(\\d+)`, 'm').exec(text)?.[1]);
    expect(value('MemoryMax')).toBeLessThanOrEqual(1_536);
    expect(value('MemoryHigh')).toBeLessThan(value('MemoryMax'));
    expect(value('TimeoutStopSec')).toBeGreaterThan(30);
    expect(text).toMatch(/^KillMode=mixed$/m);
  });

  it('starts what a release of the coordinator has', () => {
    expect(text).toMatch(/^ExecStart=.* \/opt\/lai-coordinator\/current\/lai\.js serve$/m);
  });
});
