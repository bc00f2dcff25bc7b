import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApiKey, keyFromHeader } from '../access/api-keys.ts';
import { sha256 } from '../access/secret.ts';
import { findApiKeyByHash } from '../store/api-keys.ts';
import type { Database } from '../store/database.ts';

export const operatorKeyFile = (dataDir: string): string => join(dataDir, 'operator.key');

/** The key with which the commands on this machine talk to the coordinator; null before its first start. Readable by the owner alone. */
export const readOperatorKey = (dataDir: string): string | null => {
  try {
    return keyFromHeader(readFileSync(operatorKeyFile(dataDir), 'utf8').trim());
  } catch {
    return null;
  }
};

/** The operator's key that is on disk and valid, or a new one. */
export const ensureOperatorKey = async (db: Database, dataDir: string): Promise<string> => {
  const known = readOperatorKey(dataDir);
  const row = known ? await findApiKeyByHash(db, sha256(known)) : undefined;
  if (known && row && row.revoked_at_ms === null && row.is_enabled === 1) return known;
  const { key } = await createApiKey(db, {
    name: 'operator of this machine',
    scopes: ['inference', 'admin', 'read'],
    nowMs: Date.now(),
  });
  writeFileSync(operatorKeyFile(dataDir), `${key}\n`, { mode: 0o600 });
  return key;
};
