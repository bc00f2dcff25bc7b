import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import list from './version-floors.json' with { type: 'json' };

const ROOT = join(import.meta.dirname, '..');

/** Advisories are asked of people, not of a server that a build may not reach: this list is refreshed by hand before each release. */
const { floors, banned } = list;

/** What the lock file installs, once per version: `name@1.2.3`. */
const lockedPackages = (lock: string): { name: string; version: string }[] => {
  const packages = lock.slice(lock.indexOf('\npackages:\n'), lock.indexOf('\nsnapshots:\n'));
  return [...packages.matchAll(/^ {2}'?((?:@[^/\s]+\/)?[^@\s']+)@(\d[^:'(\s]*)'?:$/gm)].map(([, name = '', version = '']) => ({
    name,
    version,
  }));
};

/** A preview of a version comes before it. */
const isBelow = (version: string, floor: string): boolean => {
  const [release = '', preview] = version.split('-', 2);
  const [have, want] = [release.split('.').map(Number), floor.split('.').map(Number)];
  for (let at = 0; at < 3; at += 1) if (have[at] !== want[at]) return (have[at] ?? 0) < (want[at] ?? 0);
  return preview !== undefined;
};

const locked = lockedPackages(readFileSync(join(ROOT, 'pnpm-lock.yaml'), 'utf8'));

describe('what the lock file installs', () => {
  it('is read whole', () => {
    expect(locked.length).toBeGreaterThan(100);
    expect(locked.map(({ name }) => name)).toEqual(expect.arrayContaining(['ws', 'hono', '@hono/node-server', 'kysely', 'pg']));
  });

  it('is nowhere older than the fix of a known hole', () => {
    const holes = floors.flatMap((rule) =>
      locked
        .filter(({ name, version }) => name === rule.package && isBelow(version, rule.floor))
        .map(({ version }) => `${rule.package} ${version} < ${rule.floor} (${rule.advisories.join(', ')})`),
    );
    expect(holes).toEqual([]);
  });

  it('is no release that is known to be poisoned', () => {
    const poisoned = banned.filter((rule) =>
      locked.some(({ name, version }) => name === rule.package && version === rule.version),
    );
    expect(poisoned).toEqual([]);
  });

  it.each([
    ['1.2.3', '1.2.3', false],
    ['1.2.2', '1.2.3', true],
    ['1.10.0', '1.9.9', false],
    ['2.0.0-beta.1', '2.0.0', true],
    ['0.9.9', '1.0.0', true],
  ])('%s is older than %s: %s', (version, floor, is) => {
    expect(isBelow(version, floor)).toBe(is);
  });
});

it('nothing may run while packages are installed, and new releases wait a week', () => {
  const workspace = readFileSync(join(ROOT, 'pnpm-workspace.yaml'), 'utf8');
  expect(workspace).toMatch(/^ignoreScripts: true$/m);
  expect(Number(/^minimumReleaseAge: (\d+)$/m.exec(workspace)?.[1])).toBeGreaterThanOrEqual(7 * 24 * 60);
});
