import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { onPath } from '../engines/cache.ts';
import { isHere, parseProblem, SHELLS, shellcheckFindings, shellScripts } from './shell.ts';

const shellcheck = onPath('shellcheck');
const scripts = shellScripts().map((path) => [basename(path), path] as const);

const missing = [
  ...(shellcheck ? [] : ['shellcheck (Debian’s package of that name; the suite `engines` brings one)']),
  ...SHELLS.filter((shell) => !isHere(shell)).map(([program]) => `${program}`),
];
if (missing.length > 0) console.warn(`shell scripts: not checked with what is not here: ${missing.join(', ')}`);

const written = (text: string): string => {
  const dir = mkdtempSync(join(tmpdir(), 'lai-shell-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'script'), text);
  return join(dir, 'script');
};

it('there are scripts', () => {
  expect(scripts.map(([name]) => name)).toEqual(['install.sh', 'lai-agent', 'lai']);
});

describe.skipIf(shellcheck === undefined)('shellcheck', () => {
  it.each(scripts)(
    'has nothing to say about %s',
    (_, path) => {
      expect(shellcheckFindings(path, shellcheck ?? '')).toEqual([]);
    },
    60_000,
  );

  it('would say something, down to style', () => {
    const findings = shellcheckFindings(written('#!/bin/sh\necho `date`\n[[ a == b ]]\n'), shellcheck ?? '');
    expect(findings.join('\n')).toMatch(/SC2006, style[\s\S]*SC3010/);
  }, 60_000);
});

describe.each(SHELLS.map((shell) => [shell.join(' '), shell] as const))('%s', (_, shell) => {
  it.skipIf(!isHere(shell)).each(scripts)('can read %s', (_name, path) => {
    expect(parseProblem(path, shell)).toBeNull();
  });

  it.skipIf(!isHere(shell))('would say what it cannot read', () => {
    expect(parseProblem(written('if true; then\n'), shell)).toContain(shell[0]);
  });
});
