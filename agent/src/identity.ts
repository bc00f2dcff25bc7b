import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EnrollResponse } from '@lai/shared/admin-api';
import { generateIdentityKeys } from '@lai/shared/ed25519';
import { z } from 'zod';

/** Who this node is, made on the node and never leaving it. Written by this file alone, readable by the owner alone. */
export const NodeCredential = z.object({
  url: z.string(),
  nodeId: z.string(),
  name: z.string(),
  publicKey: z.string(),
  privateKey: z.string(),
  /** Pinned at enrolment; every connect checks it. */
  coordinatorKey: z.string(),
  generation: z.number().int().nonnegative(),
});
export type NodeCredential = z.infer<typeof NodeCredential>;

const credentialPath = (dataDir: string): string => join(dataDir, 'node.json');

/** `null` when this machine has not joined yet. Refuses a file that others may read: whoever has it is this node. */
export const readCredential = (dataDir: string): NodeCredential | null => {
  const path = credentialPath(dataDir);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0) {
    throw new Error(`${path} holds this node's private key and is readable by others. Run: chmod 600 '${path}'`);
  }
  return NodeCredential.parse(JSON.parse(text));
};

/** Written beside and renamed over, so that a crash leaves the old identity or the new one, never half of one. */
export const writeCredential = (dataDir: string, credential: NodeCredential): void => {
  const path = credentialPath(dataDir);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, `${JSON.stringify(credential, null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(draft, path);
};

/**
 * Trades a registration token for a place in the fleet: makes a key pair, sends the public half with the token, pins the
 * coordinator's key. The token is not kept.
 */
export const enroll = async (options: { url: string; token: string; name: string; dataDir: string }): Promise<NodeCredential> => {
  const keys = await generateIdentityKeys();
  const url = options.url.replace(/\/$/, '');
  const response = await fetch(`${url}/api/v1/enroll`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: options.token, name: options.name, publicKey: keys.publicKey }),
    signal: AbortSignal.timeout(10_000),
    redirect: 'error',
  });
  if (!response.ok) {
    const reason = await response.text();
    throw new Error(`${url} refused to enrol this node (HTTP ${response.status}): ${reason.slice(0, 300)}`);
  }
  const { nodeId, coordinatorKey } = EnrollResponse.parse(await response.json());
  const credential: NodeCredential = { url, nodeId, name: options.name, ...keys, coordinatorKey, generation: 0 };
  writeCredential(options.dataDir, credential);
  return credential;
};
