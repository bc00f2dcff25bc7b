import { timingSafeEqual } from 'node:crypto';
import type http from 'node:http';

export type DoorVerdict = { readonly kind: 'in' } | { readonly kind: 'out'; readonly status: number; readonly why: string };

/**
 * Who may come in through the loopback door? Pure. Being on this machine is not enough: every web page that its owner opens can send
 * requests to 127.0.0.1, and a name of its own that points there (DNS rebinding) makes them look same-origin.
 *
 * - Host must be this door's own address: a rebound name is somebody else's.
 * - No Origin: programs of the owner send none, browsers always do where it matters.
 * - The token of a file that only the owner can read.
 */
export const knock = (headers: http.IncomingHttpHeaders, own: { readonly port: number; readonly token: string }): DoorVerdict => {
  const out = (status: number, why: string): DoorVerdict => ({ kind: 'out', status, why });
  if (!OWN_NAMES.some((name) => headers.host === `${name}:${own.port}`))
    return out(421, 'Use 127.0.0.1 and the port as the host.');
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined)
    return out(403, 'Web pages may not use this door.');
  const given = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
  return isSame(given, own.token) ? { kind: 'in' } : out(401, 'Send the token of the file local.token as Authorization: Bearer.');
};

const OWN_NAMES = ['127.0.0.1', 'localhost'];

const isSame = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
};
