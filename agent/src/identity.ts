import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EnrollResponse } from '@lai/shared/admin-api';
import { fingerprintWords, generateIdentityKeys, type IdentityKeys, keyFingerprint } from '@lai/shared/ed25519';
import { unreachable } from '@lai/shared/unreachable';
import { z } from 'zod';
import { isUntrusted, provenAuthority, trustAuthority } from './coordinator-certificate.ts';
import { accessProblem, writePrivateFile } from './private-file.ts';

/** Who this node is, made on the node and never leaving it. Written by this file alone, readable by the owner alone. */
export const NodeCredential = z.object({
  url: z.string(),
  nodeId: z.string(),
  name: z.string(),
  publicKey: z.string(),
  privateKey: z.string(),
  /** Pinned at enrolment; every connect checks it. */
  coordinatorKey: z.string(),
  /** PEM: the authority of a coordinator that makes its own certificate; it was signed with `coordinatorKey`. */
  coordinatorAuthority: z.string().optional(),
  generation: z.number().int().nonnegative(),
  /** A key that is proposed at the next connect; it takes the place of the other one when the coordinator says so. */
  next: z.object({ publicKey: z.string(), privateKey: z.string() }).optional(),
});
export type NodeCredential = z.infer<typeof NodeCredential>;

const credentialPath = (dataDir: string): string => join(dataDir, 'node.json');

/** `null` when this machine has not joined yet. What it says of the coordinator's certificate counts from then on. Refuses a file that others may read: whoever has it is this node. */
export const readCredential = (dataDir: string): NodeCredential | null => {
  const path = credentialPath(dataDir);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const problem = accessProblem(path);
  if (problem) throw new Error(problem);
  const credential = NodeCredential.parse(JSON.parse(text));
  if (credential.coordinatorAuthority !== undefined) trustAuthority(credential.coordinatorAuthority);
  return credential;
};

export const writeCredential = (dataDir: string, credential: NodeCredential): void =>
  writePrivateFile(credentialPath(dataDir), `${JSON.stringify(credential, null, 2)}\n`);

/** What the connection needs of the node's identity. */
export interface NodeIdentity {
  /** As of the last `refresh`. */
  readonly credential: NodeCredential;
  /** Before each connect: the owner may have asked for another key meanwhile. */
  refresh(): void;
  /** Keeps what the coordinator said: the new count, and which key it knows this node by. Throws when it cannot be kept. */
  welcomed(generation: number, publicKey: string | undefined): void;
  /** Keeps the authority (PEM) that the coordinator has proved to be its own. */
  vouchedFor(authority: string): void;
  /** The coordinator does not know the key we signed with. True when there is another one to try. */
  tryOtherKey(): boolean;
}

/** In the node's file. `url` says where the coordinator is now, if it has moved. */
export const fileIdentity = (dataDir: string, url?: string): NodeIdentity | null => {
  const read = (): NodeCredential | null => {
    const stored = readCredential(dataDir);
    return stored && url ? { ...stored, url } : stored;
  };
  let credential = read();
  if (!credential) return null;
  let hasSwapped = false;
  const keep = (change: (stored: NodeCredential) => NodeCredential): void => {
    const changed = change(readCredential(dataDir) ?? current());
    writeCredential(dataDir, changed);
    credential = { ...changed, url: current().url };
  };
  const current = (): NodeCredential => {
    if (!credential) throw new Error('this node has no identity');
    return credential;
  };
  return {
    get credential() {
      return current();
    },
    refresh: () => {
      credential = read() ?? credential;
    },
    welcomed: (generation, publicKey) =>
      keep((stored) => {
        const { next, ...rest } = stored;
        const isTaken = next !== undefined && publicKey === next.publicKey;
        return { ...rest, generation, ...(isTaken ? next : next ? { next } : {}) };
      }),
    vouchedFor: (authority) => keep((stored) => ({ ...stored, coordinatorAuthority: authority })),
    tryOtherKey: () => {
      const { next } = current();
      if (!next || hasSwapped) return false;
      hasSwapped = true;
      // The coordinator took the new key, and we died before we heard of it.
      keep((stored) => ({ ...stored, ...next, next: { publicKey: stored.publicKey, privateKey: stored.privateKey } }));
      return true;
    },
  };
};

/** Makes a key that is proposed at the next connect. The words by which people recognise it. */
export const proposeKey = async (dataDir: string): Promise<string> => {
  const credential = readCredential(dataDir);
  if (!credential) throw new Error('This machine has not joined a fleet yet.');
  const next: IdentityKeys = await generateIdentityKeys();
  writeCredential(dataDir, { ...credential, next });
  return fingerprintWords(await keyFingerprint(next.publicKey));
};

/** Without TLS whoever is on the way reads prompts and answers; within this machine nobody is. Null when all is well. */
export const transportProblem = (url: string): string | null => {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:' || protocol === 'wss:') return null;
  if (/^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)) return null;
  return `${url} is not encrypted: whoever is on the way can read prompts and answers. Use https, or add --insecure if you trust the network.`;
};

const whyUnreachable = (url: string, error: unknown): string => {
  if (isUntrusted(error))
    return `${url} is not the coordinator that made this token: nobody that this machine trusts vouches for its certificate, nor does that coordinator. Nothing was kept. Check the address; for a certificate of your own authority, set NODE_EXTRA_CA_CERTS.`;
  const { what, next } = unreachable(error, url);
  return `This machine could not join. ${what} ${next ?? 'Check the address, the firewall in between, and that the coordinator runs.'}`;
};

/**
 * The authority that vouches for the coordinator where nobody does whom this machine trusts; null where it is not needed, or not to be
 * had. From then on this process trusts it.
 */
const authorityOf = async (url: string, coordinatorFingerprint: string): Promise<string | null> => {
  if (!url.startsWith('https:')) return null;
  const isTrusted = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(10_000), redirect: 'manual' }).then(
    async (response) => {
      await response.body?.cancel();
      return true;
    },
    (error: unknown) => !isUntrusted(error),
  );
  if (isTrusted) return null;
  const authority = await provenAuthority(url, coordinatorFingerprint);
  if (authority !== null) trustAuthority(authority);
  return authority;
};

const TOKEN_PATTERN = /^laj_[0-9a-f]{12}_[0-9a-f]{32}_([0-9a-f]{32})$/;

export interface Enrolment {
  readonly credential: NodeCredential;
  /** Pending: an operator has to approve this node first. */
  readonly state: 'approved' | 'pending';
  /** Of this node's key: the operator sees the same words. */
  readonly fingerprint: string;
}

const Refusal = z.object({ error: z.object({ message: z.string() }) });

/** In the coordinator's own words, where it is one. */
const whyRefused = (status: number, text: string, url: string): string => {
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not ours.
  }
  const { data } = Refusal.safeParse(body);
  if (!data) return `What answers at ${url} is no Lai coordinator: it says HTTP ${status}. Check --url.`;
  return `${url} does not let this machine join: ${data.error.message}`;
};

/**
 * Trades a registration token for a place in the fleet: makes a key pair, sends the public half with the token, and pins the
 * coordinator's key if it is the one that the token was made for, so that nobody can stand in between. The token is not kept.
 */
export const enroll = async (options: {
  url: string;
  token: string;
  name: string;
  dataDir: string;
  isInsecureAllowed?: boolean;
}): Promise<Enrolment> => {
  const [, coordinatorFingerprint] = TOKEN_PATTERN.exec(options.token) ?? [];
  if (!coordinatorFingerprint)
    throw new Error('That is no registration token. `lai tokens create` on the coordinator makes one.');
  const problem = transportProblem(options.url);
  if (problem && !options.isInsecureAllowed) throw new Error(problem);
  const keys = await generateIdentityKeys();
  const url = options.url.replace(/\/$/, '');
  const authority = await authorityOf(url, coordinatorFingerprint);
  const response = await fetch(`${url}/api/v1/enroll`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: options.token, name: options.name, publicKey: keys.publicKey }),
    signal: AbortSignal.timeout(10_000),
    redirect: 'error',
  }).catch((error: unknown) => {
    throw new Error(whyUnreachable(url, error), { cause: error });
  });
  if (!response.ok) throw new Error(whyRefused(response.status, await response.text().catch(() => ''), url));
  const answer = EnrollResponse.safeParse(await response.json().catch(() => null));
  if (!answer.success) throw new Error(`What answers at ${url} is no Lai coordinator, or of another version. Check --url.`);
  const { nodeId, name = options.name, coordinatorKey, state = 'approved' } = answer.data;
  if ((await keyFingerprint(coordinatorKey)) !== coordinatorFingerprint)
    throw new Error(`${url} is not the coordinator that made this token. Nothing was kept; ask for a new token.`);
  const credential: NodeCredential = {
    ...{ url, nodeId, name, ...keys, coordinatorKey, generation: 0 },
    ...(authority === null ? {} : { coordinatorAuthority: authority }),
  };
  writeCredential(options.dataDir, credential);
  return { credential, state, fingerprint: fingerprintWords(await keyFingerprint(keys.publicKey)) };
};
