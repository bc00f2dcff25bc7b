import { closeSync, fstatSync, openSync, readdirSync, readSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const LOG_TAIL_BYTES = 8_192;
/** With less than this Redis ends at its next write; it is not started before there is more. */
const LEAST_FREE_BYTES = 1024 * 1024;

export const AOF_DIRECTORY = 'appendonlydir';
export const MANIFEST = 'appendonly.aof.manifest';
export const REPAIR_ADVICE = 'Stop the coordinator and run `lai doctor --repair`: it keeps a copy of the file and repairs it.';

/** Files of the append-only log that are there, in the order in which Redis reads them: the base first. */
export const aofFiles = (directory: string): string[] => {
  const number = (name: string) => Number(/\.(\d+)\.(?:base|incr)\./.exec(name)?.[1] ?? 0);
  const rank = (name: string) => (name.includes('.base.') ? 0 : 1);
  return namesIn(join(directory, AOF_DIRECTORY))
    .filter((name) => /^appendonly\.aof\.\d+\.(?:base\.(?:rdb|aof)|incr\.aof)$/.test(name))
    .sort((a, b) => rank(a) - rank(b) || number(a) - number(b));
};

/** Files without the list that names them: Redis would begin empty and say nothing. */
export const isManifestGone = (directory: string): boolean =>
  aofFiles(directory).length > 0 && !namesIn(join(directory, AOF_DIRECTORY)).includes(MANIFEST);

export type Trouble = { readonly kind: 'damaged' | 'disk_full'; readonly sentence: string };

/** Why the private Redis ended or does not start, by what it logged last; null when that says nothing. Pure. */
export const troubleIn = (logged: string): Trouble | null => {
  const last = logged.trimEnd().split('\n').slice(-12).join('\n');
  if (/No space left on device|MISCONF|ENOSPC/i.test(last))
    return { kind: 'disk_full', sentence: 'The disk with the data directory is full. Make room there.' };
  if (
    /Bad file format reading the append only file|Unexpected end of file reading the append only file|AOF (?:base )?file .*(?:missing|doesn't exist)|Invalid AOF manifest|AOF loading.*corrupt|Internal error in RDB reading/i.test(
      last,
    )
  )
    return { kind: 'damaged', sentence: `The file of the private Redis is damaged, as a power cut leaves it. ${REPAIR_ADVICE}` };
  return null;
};

export const logTail = (file: string): string => {
  try {
    const descriptor = openSync(file, 'r');
    try {
      const { size } = fstatSync(descriptor);
      const tail = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
      readSync(descriptor, tail, 0, tail.length, size - tail.length);
      return tail.toString();
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return '';
  }
};

export const isDiskFull = (directory: string): boolean => {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < LEAST_FREE_BYTES;
};

const namesIn = (directory: string): string[] => {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
};
