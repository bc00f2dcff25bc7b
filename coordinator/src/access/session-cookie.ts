import type { ClientAddress } from './client-address.ts';

/**
 * `__Host-` makes browsers refuse a cookie of this name from anywhere but this host, and over anything but TLS. On this machine itself
 * there is no TLS and nobody in between; there the cookie has another name.
 */
const SECURE = '__Host-lai';
const LOCAL = 'lai-on-this-machine';

export const readSessionCookie = (header: string | undefined): string | null => {
  const cookies = new Map(
    (header ?? '').split(';').flatMap((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const];
    }),
  );
  return cookies.get(SECURE) ?? cookies.get(LOCAL) ?? null;
};

/** Null where a cookie would travel in the clear: over a network, nobody signs in without TLS. */
export const sessionCookie = (secret: string | null, transport: ClientAddress['transport']): string | null => {
  if (transport === 'plain') return null;
  const name = transport === 'tls' ? `${SECURE}=${secret ?? ''}; Secure` : `${LOCAL}=${secret ?? ''}`;
  return `${name}; Path=/; HttpOnly; SameSite=Strict${secret === null ? '; Max-Age=0' : ''}`;
};
