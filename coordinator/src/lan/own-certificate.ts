import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { certificate, spkiOf } from './certificate.ts';

const DAY_MS = 24 * 60 * 60_000;
const AUTHORITY_DAYS = 10 * 365;
/** Apple's limit for certificates of a private authority is 825 days. The coordinator makes a new one at each start. */
const SERVER_DAYS = 800;
const AUTHORITY = 'Lai coordinator authority';

export interface OwnCertificate {
  /** PEM, for the TLS listener: the server's certificate and the authority's after it. */
  readonly chain: string;
  readonly key: string;
  /** PEM: what agents and clients trust. */
  readonly authority: string;
  /** Where that lies, for clients. */
  readonly authorityPath: string;
  /** SHA-256 of the server's public key, base64: what `curl --pinnedpubkey` checks before anything of the coordinator is trusted. */
  readonly pin: string;
}

/**
 * The certificate of `--lan`. The authority and the server's key last and lie in `<dataDir>/tls`, readable by the owner alone. The
 * server's certificate is made for the names and addresses of this start, so a new address needs nothing from machines that trust the
 * authority.
 */
export const ownCertificate = (options: {
  dataDir: string;
  /** Names and IPv4 addresses. */
  names: readonly string[];
  nowMs: number;
}): OwnCertificate => {
  const { dataDir, names, nowMs } = options;
  const folder = join(dataDir, 'tls');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const authorityKey = createPrivateKey(keptText(join(folder, 'authority.key'), newKey));
  const authorityPath = join(folder, 'authority.pem');
  const issued = (subject: string, days: number, publicKey: KeyObject, serverNames: readonly string[] | null) =>
    certificate({
      ...{ subject, issuer: AUTHORITY, fromMs: nowMs - DAY_MS, untilMs: nowMs + days * DAY_MS, publicKey, serverNames },
      ...{ issuerPublicKey: createPublicKey(authorityKey), issuerPrivateKey: authorityKey },
    });
  const authority = keptText(authorityPath, () => issued(AUTHORITY, AUTHORITY_DAYS, createPublicKey(authorityKey), null));
  const key = keptText(join(folder, 'server.key'), newKey);
  const publicKey = createPublicKey(key);
  return {
    chain: issued('Lai coordinator', SERVER_DAYS, publicKey, names) + authority,
    pin: createHash('sha256').update(spkiOf(publicKey)).digest('base64'),
    ...{ key, authority, authorityPath },
  };
};

const newKey = (): string =>
  generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey;

const keptText = (path: string, make: () => string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const text = make();
  writeFileSync(path, text, { mode: 0o600, flush: true });
  return text;
};
