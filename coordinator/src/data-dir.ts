import { chmodSync, mkdirSync, statSync } from 'node:fs';
import type { Logger } from 'pino';

const OTHERS = 0o077;
/** Of directories that everybody shares, such as /tmp. */
const STICKY = 0o1000;

/**
 * Makes the data directory when there is none, and takes the rights of other users from one that was made open: keys, the database and
 * logs lie in it. One that is not ours, or that everybody shares, is left as it is and told of.
 */
export const closedDataDir = (directory: string, log: Pick<Logger, 'warn'>): void => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (process.platform === 'win32') return;
  const { mode } = statSync(directory);
  if ((mode & OTHERS) === 0) return;
  const was = (mode & 0o7777).toString(8).padStart(4, '0');
  if ((mode & STICKY) !== 0) {
    log.warn({ directory, mode: was }, 'other users share the data directory; give Lai one of its own (LAI_DATA_DIR)');
    return;
  }
  try {
    chmodSync(directory, 0o700);
    log.warn({ directory, was, mode: '0700' }, 'the data directory was open to other users and is closed now');
  } catch (err) {
    log.warn(
      { err, directory, mode: was },
      'other users may enter the data directory and its mode cannot be changed; chmod 700 it',
    );
  }
};
