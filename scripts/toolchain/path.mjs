/** Finding programs the way a shell does, and putting ours first. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** @typedef {Record<string, string | undefined>} Env */

/** @param {string} file */
export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * @param {string} command
 * @param {Env} env
 * @returns {string | undefined}
 */
export function onPath(command, env) {
  return (env['PATH'] ?? '')
    .split(delimiter)
    .filter((dir) => dir !== '')
    .map((dir) => join(dir, command))
    .find(isExecutable);
}

/**
 * @param {string} dir
 * @param {Env} env
 */
export function putFirst(dir, env) {
  const others = (env['PATH'] ?? '').split(delimiter).filter((entry) => entry !== dir);
  env['PATH'] = [dir, ...others].join(delimiter);
}
