import { type ClientAddress, isLoopback } from './client-address.ts';

/**
 * `__Host-` makes browsers refuse a cookie of this name from anywhere but this host, and over anything but TLS. On this machine itself
 * there is no TLS and nobody in between; there the cookie has another name, which counts nowhere else.
 */
const SECURE = '__Host-lai';
const LOCAL = 'lai-on-this-machine';

/**
 * The name of the cookie on this way, or null where it would travel in the clear: over a network, nobody signs in without TLS. A request
 * from this machine that was meant for another host comes from a proxy that we were not told of, or from a page whose name points here.
 */
export const cookieName = ({ transport }: Pick<ClientAddress, 'transport'>, host: string | undefined): string | null => {
  if (transport === 'tls') return SECURE;
  return transport === 'loopback' && isLoopback((host ?? '').replace(/:\d+$/, '')) ? LOCAL : null;
};

export const readSessionCookie = (header: string | undefined, name: string | null): string | null => {
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return null;
};

const STAY_SECONDS = 30 * 24 * 3_600;

/** Null takes the cookie back. It ends with the browser, or `stays` when that is started again. */
export const sessionCookie = (name: string, secret: string | null, lasting: 'idles' | 'stays' = 'idles'): string =>
  [
    `${name}=${secret ?? ''}`,
    'Path=/',
    'HttpOnly',
    'SameSite=Strict',
    ...(name === SECURE ? ['Secure'] : []),
    ...(secret === null ? ['Max-Age=0'] : lasting === 'stays' ? [`Max-Age=${STAY_SECONDS}`] : []),
  ].join('; ');
