import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { FilePath } from '@lai/shared/settings';
import { z } from 'zod';
import { isProxyNetwork } from './access/client-address.ts';

/** Kinds of the coordinator's settings. Each message goes on from `NAME is "value": `, and says what to write. */

/** False only for what is there and something else: the program that uses it says what else is wrong. */
const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return true;
  }
};

/** Spelled from where the program was started, which Redis and others that we start do not know. */
export const Folder = FilePath.transform((path) => resolve(path)).refine(isFolder, 'use a directory; this is a file');
export const PemFile = FilePath.transform((path) => resolve(path));
/** A name on PATH, or a path. */
export const Program = FilePath.transform((name) => (/[/\\]/.test(name) ? resolve(name) : name));

/** An address of this machine, or a name of it. */
export const ListenHost = z
  .string()
  .transform((host) => host.replace(/^\[(.*)\]$/, '$1'))
  .refine(
    (host) => isIP(host) !== 0 || /^(?!.*\.\.)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host),
    'use an address or a name alone, such as 127.0.0.1, 0.0.0.0 or ::1; the port has a setting of its own',
  );

export const LanAddress = z
  .string()
  .refine((text) => text === 'auto' || isIP(text) === 4, 'use true, or an IPv4 address of this machine');

export const DatabaseUrl = z
  .string()
  .refine(
    (place) => /^(?:postgres(?:ql)?|sqlite|file):/i.test(place) || !/^[a-z][a-z0-9+]+:/i.test(place),
    'use postgres://user:password@host/name, or the path of a SQLite file',
  )
  .refine(
    (place) => !/^postgres(?:ql)?:/i.test(place) || (/^postgres(?:ql)?:\/\//.test(place) && URL.canParse(place)),
    'use postgres://user:password@host/name',
  )
  .transform((place) => (/^[a-z][a-z0-9+]+:/i.test(place) || place.startsWith('~') ? place : resolve(place)))
  .refine((place) => !place.startsWith('~'), 'use the whole path: ~ means nothing outside a shell');

export const RedisUrl = z
  .string()
  .refine(
    (url) => /^(?:rediss?(?:\+cluster)?|unix):\/\//.test(url) && (url.includes(',') || URL.canParse(url)),
    'use redis://host:6379, rediss://… for TLS, redis+cluster://… for a cluster, or unix:///path/of/socket',
  );

export const ProxyNetwork = z
  .string()
  .refine((entry) => isProxyNetwork(entry), 'use addresses and networks such as 10.0.0.1,10.0.0.0/8, not names');

export const WebhookHost = z
  .string()
  .regex(
    /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/,
    'use hosts alone, such as hooks.example.org or 10.0.0.5:8080, without https:// and path',
  );

export const PayloadKey = z
  .string()
  .trim()
  .regex(/^[A-Za-z0-9+/]{43}=$/, 'use 32 bytes in base64, as `openssl rand -base64 32` prints them');
