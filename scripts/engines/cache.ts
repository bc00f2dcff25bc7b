/** Where engines that tests need are kept: outside the repository, so that every clone shares them. */
import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { env } from 'node:process';

export const engineCacheDir = () => env['LAI_CACHE'] || join(homedir(), '.cache', 'lai');

/** An engine that tests can start, or the reason why this machine has none (a sentence for the person running the tests). */
export type Found = { path: string; version: string } | { missing: string };

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export function onPath(command: string, path = env['PATH'] ?? ''): string | undefined {
  return path
    .split(delimiter)
    .filter((dir) => dir !== '')
    .map((dir) => join(dir, command))
    .find(isExecutable);
}
