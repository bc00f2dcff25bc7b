import { BlockList, isIP } from 'node:net';

/** Reverse proxies whose word about their clients counts: addresses or networks (`10.0.0.0/8`). Throws for what is neither. */
export const trustedProxies = (entries: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const entry of entries) {
    if (!isProxyNetwork(entry))
      throw new Error(`${entry} is no address and no network; expected something like 10.0.0.1 or 10.0.0.0/8`);
    const [address = '', bits] = entry.split('/');
    const type = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, type);
    else list.addSubnet(address, Number(bits), type);
  }
  return list;
};

/** Whether this names proxies: `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`. */
export const isProxyNetwork = (entry: string): boolean => {
  const [address = '', bits, more] = entry.split('/');
  const family = isIP(address);
  const isPrefix = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
  return family !== 0 && isPrefix && more === undefined;
};

export interface ClientAddress {
  readonly address: string;
  /** Encrypted up to us or up to a proxy that we trust, from this machine, or in the clear over a network. */
  readonly transport: 'tls' | 'loopback' | 'plain';
}

/**
 * Who is at the other end. Pure. What `X-Forwarded-*` says counts only when a trusted proxy said it: the chain is read from the right,
 * and the first address that is no trusted proxy is the client's; what stands left of it, anybody may have written.
 */
export const clientAddress = (
  request: {
    peer: string | undefined;
    isEncrypted: boolean;
    forwardedFor?: string | undefined;
    forwardedProto?: string | undefined;
  },
  trusted: BlockList,
): ClientAddress => {
  const peer = plain(request.peer ?? '');
  const direct = { address: peer, transport: request.isEncrypted ? 'tls' : isLoopback(peer) ? 'loopback' : 'plain' } as const;
  if (!isTrusted(peer, trusted) || request.forwardedFor === undefined) return direct;
  const chain = request.forwardedFor.split(',').map((entry) => plain(entry.trim()));
  let client = peer;
  while (chain.length > 0 && isTrusted(client, trusted)) {
    const next = chain.pop() ?? '';
    if (isIP(next) === 0) break;
    client = next;
  }
  const isSecure = request.forwardedProto?.split(',').at(-1)?.trim().toLowerCase() === 'https';
  return { address: client, transport: isSecure ? 'tls' : isLoopback(client) ? 'loopback' : 'plain' };
};

export const isLoopback = (address: string): boolean => {
  const host = plain(address.replace(/^\[|\]$/g, ''));
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
};

const isTrusted = (address: string, trusted: BlockList): boolean => {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 4 ? 'ipv4' : 'ipv6');
};

const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
