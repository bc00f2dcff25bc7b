import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';

const OwnerRecord = z.object({ pid: z.number().int(), address: z.string().max(300) });

/** A data directory's private Redis belongs to one process at a time. */
export interface DataDirOwner {
  release(): void;
}

/**
 * Throws an Error for people when another coordinator owns the directory. The lock is that of an empty SQLite file: the operating system
 * drops it with the process, however that ends, and no two processes can both find it free. Beside it stands who the owner is.
 */
export const ownDataDir = (directory: string, address: string): DataDirOwner => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const record = join(directory, 'owner.json');
  const lock = new DatabaseSync(join(directory, 'owner.lock'));
  try {
    lock.exec('pragma busy_timeout = 0; begin exclusive');
  } catch (error) {
    lock.close();
    if (!/database is locked/.test(String(error))) throw error;
    throw new Error(refusal(directory, record), { cause: error });
  }
  writeFileSync(record, JSON.stringify({ pid: process.pid, address }), { mode: 0o600 });
  return { release: () => lock.isOpen && lock.close() };
};

const refusal = (directory: string, record: string): string => {
  const owner = ownerIn(record);
  const who = owner ? `process ${owner.pid}, ${owner.address}` : 'another process';
  return `A coordinator already runs with the data directory ${join(directory, '..')}: ${who}. Use that one, stop it first, or give this one a directory and a port of its own (LAI_DATA_DIR, LAI_PORT).`;
};

const ownerIn = (record: string): z.infer<typeof OwnerRecord> | null => {
  try {
    return OwnerRecord.parse(JSON.parse(readFileSync(record, 'utf8')));
  } catch {
    return null;
  }
};
