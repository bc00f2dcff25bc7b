import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { adminCall } from '../remote-administration.ts';

const LIMIT_MS = 10_000;
const KeptKey = z.object({ url: z.string(), id: z.string(), key: z.string() });
export type KeptKey = z.infer<typeof KeptKey>;

/**
 * The client's own key: it may ask models and nothing else, and is called as the client. Kept in the data directory, readable by its owner
 * alone, because the coordinator shows it once; a new one is made when it was revoked or another coordinator is meant.
 */
export const clientKey = async (options: {
  url: string;
  operatorKey: string;
  dataDir: string;
  client: string;
}): Promise<KeptKey> => {
  const { url, operatorKey, dataDir, client } = options;
  const folder = join(dataDir, 'launch');
  const file = join(folder, `${client}.json`);
  const kept = read(file);
  if (kept?.url === url && (await isValid(kept))) return kept;
  const { key, view } = await adminCall({ url, key: operatorKey })('POST /api/v1/keys', {
    body: { name: `${client} by lai launch`, scopes: ['inference'] },
  });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const made = { url, id: view.id, key };
  writeFileSync(file, `${JSON.stringify(made)}\n`, { mode: 0o600 });
  return made;
};

const read = (file: string): KeptKey | null => {
  try {
    return KeptKey.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
};

const isValid = async ({ url, key }: KeptKey): Promise<boolean> => {
  const response = await fetch(`${url}/v1/models`, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(LIMIT_MS),
    redirect: 'error',
  });
  await response.body?.cancel();
  return response.status !== 401;
};
