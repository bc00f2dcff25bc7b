/** What is wrong with a script for any `sh`, in sentences; empty when nothing is. */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onPath } from '../engines/cache.ts';

const root = join(import.meta.dirname, '../..');

/** Scripts of ours that run on other people's machines. */
export const shellScripts = (): string[] =>
  globSync('deploy/**/*', { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path, 'utf8').startsWith('#!/bin/sh\n'))
    .sort();

/** Shells that call themselves sh: Debian's, the one of small systems and routers, and macOS' (bash as sh). */
export const SHELLS: readonly (readonly string[])[] = [['dash'], ['busybox', 'sh'], ['bash', '--posix']];

export const isHere = ([program = '']: readonly string[]): boolean => onPath(program) !== undefined;

interface Comment {
  readonly line: number;
  readonly level: string;
  readonly code: number;
  readonly message: string;
}

/** All that ShellCheck says, down to questions of style. */
export const shellcheckFindings = (path: string, shellcheck: string, env: NodeJS.ProcessEnv = process.env): string[] => {
  const { stdout, stderr, error } = spawnSync(shellcheck, ['--shell=sh', '--severity=style', '--format=json1', path], {
    encoding: 'utf8',
    env,
    timeout: 60_000,
  });
  if (error || stdout === '') throw new Error(`${shellcheck} said nothing: ${error?.message ?? stderr}`);
  const { comments } = JSON.parse(stdout) as { comments: Comment[] };
  return comments.map(({ line, level, code, message }) => `line ${line}: ${message} (SC${code}, ${level})`);
};

/** Null: this shell can read it. */
export const parseProblem = (path: string, [program = '', ...words]: readonly string[]): string | null => {
  const { status, stderr, error } = spawnSync(program, [...words, '-n', path], { encoding: 'utf8', timeout: 60_000 });
  return status === 0 && stderr === '' ? null : `${program}: ${error?.message ?? (stderr.trim() || `ended with ${status}`)}`;
};
