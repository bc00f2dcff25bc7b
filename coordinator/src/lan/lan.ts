import { hostname, networkInterfaces } from 'node:os';
import { type CoordinatorCertificate, certificateTranscript } from '@lai/shared/coordinator-certificate';
import { signWith } from '@lai/shared/ed25519';
import { lanAddress, ownAddresses } from './lan-address.ts';
import { ownCertificate } from './own-certificate.ts';

/** How machines of the local network reach a coordinator that was started with `--lan`. */
export interface Lan {
  /** Where its TLS listener is; this machine itself goes on without TLS on 127.0.0.1. */
  readonly address: string;
  readonly url: (port: number) => string;
  readonly cert: string;
  readonly key: string;
  /** For clients on other machines: the certificate that they have to trust. */
  readonly authorityPath: string;
  /** What the first download of a joining machine checks, when it goes to this URL; null for another one, as that of a proxy. */
  readonly pinFor: (url: string) => string | null;
  /** What a joining agent checks with the key that its token names. */
  readonly proof: CoordinatorCertificate;
}

export const openLan = async (options: {
  /** An IPv4 address of this machine, or `auto`. */
  wanted: string;
  dataDir: string;
  identity: { readonly publicKey: string; readonly privateKey: string };
  nowMs: number;
}): Promise<Lan> => {
  const { wanted, dataDir, identity, nowMs } = options;
  const address = wanted === 'auto' ? lanAddress(networkInterfaces()) : wanted;
  if (address === null)
    throw new Error('This machine is in no network, so there is no address for --lan. Connect it, or start without --lan.');
  const name = hostname();
  const names = [...new Set([address, ...ownAddresses(networkInterfaces()), name, `${name}.local`, 'localhost'])].filter(
    isServerName,
  );
  const { chain, key, authority, authorityPath, pin } = ownCertificate({ dataDir, names, nowMs });
  const signature = await signWith(identity.privateKey, certificateTranscript(authority));
  return {
    address,
    url: (port) => `https://${address}:${port}`,
    cert: chain,
    key,
    authorityPath,
    pinFor: (url) => {
      const { protocol, hostname: host } = new URL(url);
      return protocol === 'https:' && names.includes(host) ? pin : null;
    },
    proof: { certificate: authority, coordinatorKey: identity.publicKey, signature },
  };
};

/** Host names may hold what certificates may not. */
const isServerName = (name: string): boolean => /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(name);
