import { homedir } from 'node:os';
import { join } from 'node:path';
import { settingsProblem, UsageError } from '@lai/shared/command-failure';
import { CoordinatorUrl } from '@lai/shared/settings';
import { z } from 'zod';
import { isLoopback } from './access/client-address.ts';
import {
  DatabaseUrl,
  Folder,
  LanAddress,
  ListenHost,
  PayloadKey,
  PemFile,
  Program,
  ProxyNetwork,
  RedisUrl,
  WebhookHost,
} from './setting-kinds.ts';

const ms = z.coerce.number().int().positive();

/** Parsed once at start from flags and LAI_* variables; nothing else reads the environment. */
export const CoordinatorConfig = z.object({
  dataDir: Folder,
  host: ListenHost,
  port: z.coerce.number().int().min(0).max(65_535),
  /** Listen on the local network, too, with a certificate of our own: `auto`, or which IPv4 address of this machine. */
  lan: z.preprocess(
    (value) =>
      value === true || /^(?:true|1|yes)$/i.test(String(value))
        ? 'auto'
        : /^(?:false|0|no)$/i.test(String(value))
          ? undefined
          : value,
    LanAddress.optional(),
  ),
  /** PostgreSQL for several coordinators, or the path of another SQLite file. Without it: a file in `dataDir`. */
  databaseUrl: DatabaseUrl.optional(),
  /** The coordinator's own certificate (PEM files); without them a reverse proxy does TLS, or nobody. */
  tlsCert: PemFile.optional(),
  tlsKey: PemFile.optional(),
  /** Addresses and networks of reverse proxies whose `X-Forwarded-*` may be believed. */
  trustedProxies: z.preprocess(
    (value) => (typeof value === 'string' ? value.split(',').map((entry) => entry.trim()) : value),
    z.array(ProxyNetwork),
  ),
  /** Where machines and people reach it, when that is not how it was asked (a proxy in front, a name instead of an address). */
  publicUrl: CoordinatorUrl.optional(),
  /** Releases of the agent, side by side. */
  releasesDir: Folder,
  /** Folder of `routing.yaml` and `providers.yaml`. */
  configDir: Folder,
  /** Name of the environment (development, staging, production); routing.yaml may give each its own meaning of `auto`. */
  environment: z
    .string()
    .trim()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'use a name such as production')
    .optional(),
  /** Public key that they are signed with, base64, instead of the one that lies beside them. */
  releaseKey: z
    .string()
    .regex(/^[A-Za-z0-9+/]{43}=$/, 'expected 32 bytes as base64')
    .optional(),
  /** An existing Redis. Without it a private one is started and supervised. */
  redisUrl: RedisUrl.optional(),
  /** Program for the private Redis; found on PATH when not given. */
  redisServer: Program.optional(),
  /** How long a request may wait for a node before it gets 503, unless X-Lai-Timeout says less. */
  queueWaitMs: ms.max(600_000),
  /** Silence on a waiting or slow stream after which a comment goes out; the first one also commits the response headers. */
  keepAliveMs: ms,
  /** A request body without images; with images the limit is fixed (20 MiB). */
  maxTextBodyBytes: z.coerce.number().int().positive(),
  /** Hosts (`name` or `name:port`, separated by commas) that finished jobs may be reported to. */
  webhookHosts: z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((host) => host.trim())
        .filter((host) => host !== ''),
    )
    .pipe(z.array(WebhookHost)),
  /** What news of finished jobs is signed with, as Standard Webhooks writes it; replicas share one. */
  webhookSecret: z
    .string()
    .regex(/^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/, 'expected whsec_ and 24 to 64 bytes in base64: whsec_$(openssl rand -base64 32)')
    .optional(),
  /** 32 bytes in base64 that encrypt queued prompts in Redis; replicas share one. Without it a key file is made in the data directory. */
  payloadKey: PayloadKey.optional(),
  logLevel: z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']),
});
export type CoordinatorConfig = Readonly<z.infer<typeof CoordinatorConfig>>;

type Flags = Partial<Record<keyof CoordinatorConfig, unknown>>;

export const DEFAULT_PORT = 5240;

/** What the launcher of a clone says; else where programs of this kind keep their data on this system. */
export const defaultDataDir = (env: NodeJS.ProcessEnv, platform = process.platform): string => {
  if (env['LAI_DEFAULT_DATA_DIR']) return env['LAI_DEFAULT_DATA_DIR'];
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'Lai');
  if (platform === 'win32') return join(env['ProgramData'] ?? join(homedir(), 'AppData', 'Local'), 'Lai');
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'lai');
};

/** Flags win over variables, variables over defaults. Throws one error that names every wrong setting. */
export const readConfig = (flags: Flags, env: NodeJS.ProcessEnv): CoordinatorConfig => {
  const fromEnv = {
    dataDir: env['LAI_DATA_DIR'],
    host: env['LAI_HOST'],
    port: env['LAI_PORT'],
    lan: env['LAI_LAN'],
    databaseUrl: env['LAI_DATABASE_URL'] || env['DATABASE_URL'],
    tlsCert: env['LAI_TLS_CERT'],
    tlsKey: env['LAI_TLS_KEY'],
    trustedProxies: env['LAI_TRUSTED_PROXIES'],
    publicUrl: env['LAI_PUBLIC_URL'],
    releasesDir: env['LAI_RELEASES_DIR'],
    configDir: env['LAI_CONFIG_DIR'],
    environment: env['LAI_ENV'],
    releaseKey: env['LAI_RELEASE_KEY'],
    redisUrl: env['LAI_REDIS_URL'],
    redisServer: env['LAI_REDIS_SERVER'],
    queueWaitMs: env['LAI_QUEUE_WAIT_MS'],
    keepAliveMs: env['LAI_KEEP_ALIVE_MS'],
    maxTextBodyBytes: env['LAI_MAX_TEXT_BODY_BYTES'],
    webhookHosts: env['LAI_WEBHOOK_HOSTS'],
    webhookSecret: env['LAI_WEBHOOK_SECRET'],
    payloadKey: env['LAI_PAYLOAD_KEY'],
    logLevel: env['LAI_LOG_LEVEL'],
  };
  const defaults = {
    dataDir: defaultDataDir(env),
    host: '127.0.0.1',
    port: DEFAULT_PORT,
    trustedProxies: [],
    queueWaitMs: 280_000,
    keepAliveMs: 10_000,
    maxTextBodyBytes: 4 * 1024 * 1024,
    webhookHosts: '',
    logLevel: 'info',
  };
  const wanted: Record<string, unknown> = { ...defaults, ...defined(fromEnv), ...defined(flags) };
  const values = {
    releasesDir: join(String(wanted['dataDir']), 'releases'),
    configDir: join(String(wanted['dataDir']), 'config'),
    ...wanted,
  };
  const parsed = CoordinatorConfig.safeParse(values);
  if (!parsed.success)
    throw settingsProblem('the coordinator', parsed.error, { values, nameOf: (setting) => nameOf(setting, flags, env) });
  if ((parsed.data.tlsCert === undefined) !== (parsed.data.tlsKey === undefined))
    throw new UsageError('The coordinator needs LAI_TLS_CERT and LAI_TLS_KEY together, or neither.');
  if (parsed.data.lan !== undefined && (parsed.data.tlsCert !== undefined || !isLoopback(parsed.data.host)))
    throw new UsageError(
      '--lan (LAI_LAN) is for a coordinator on 127.0.0.1 without a certificate: it adds the local network with one of its own. Leave out LAI_HOST and LAI_TLS_CERT, or --lan.',
    );
  if (parsed.data.webhookHosts.length > 0 && parsed.data.webhookSecret === undefined)
    throw new UsageError(
      'LAI_WEBHOOK_HOSTS needs LAI_WEBHOOK_SECRET, which receivers check signatures with: whsec_$(openssl rand -base64 32)',
    );
  return Object.freeze(parsed.data);
};

/** Settings that are not called after their field, or have a second name. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  environment: 'LAI_ENV',
  dataDir: 'LAI_DEFAULT_DATA_DIR',
  databaseUrl: 'DATABASE_URL',
};

/** The flag where one was given, else the variable that said it: `queueWaitMs` is `LAI_QUEUE_WAIT_MS`. */
const nameOf = (setting: string, flags: Flags, env: NodeJS.ProcessEnv): string => {
  const other = OTHER_NAMES[setting];
  const words = setting.replaceAll(/[A-Z]/g, (letter) => ` ${letter}`).split(' ');
  if ((flags as Record<string, unknown>)[setting] !== undefined) return `--${words.join('-').toLowerCase()}`;
  const name = `LAI_${words.join('_').toUpperCase()}`;
  return other && !env[name] && env[other] ? other : name;
};

const defined = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ''));

/** Where lasting truth is, as store/database.ts reads it. */
export const databaseLocation = ({ databaseUrl, dataDir }: CoordinatorConfig): string =>
  databaseUrl ?? join(dataDir, 'lai.sqlite');
