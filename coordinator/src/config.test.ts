import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CoordinatorConfig, defaultDataDir, readConfig } from './config.ts';

const SECRET = `whsec_${'A'.repeat(43)}=`;

describe('settings of the coordinator', () => {
  it('have a default each, except those that may be absent', () => {
    expect(readConfig({ dataDir: '/data' }, {})).toEqual({
      dataDir: '/data',
      releasesDir: '/data/releases',
      configDir: '/data/config',
      host: '127.0.0.1',
      port: 5240,
      queueWaitMs: 280_000,
      keepAliveMs: 10_000,
      maxTextBodyBytes: 4_194_304,
      logLevel: 'info',
      trustedProxies: [],
      webhookHosts: [],
    });
  });

  it('take lists apart at commas', () => {
    const env = {
      LAI_TRUSTED_PROXIES: '10.0.0.1, ::1',
      LAI_WEBHOOK_HOSTS: 'a.example,b.example:8080',
      LAI_WEBHOOK_SECRET: SECRET,
    };
    expect(readConfig({}, env)).toMatchObject({
      trustedProxies: ['10.0.0.1', '::1'],
      webhookHosts: ['a.example', 'b.example:8080'],
    });
  });

  it('take hosts for webhooks only with a secret that receivers can check', () => {
    expect(() => readConfig({}, { LAI_WEBHOOK_HOSTS: 'a.example' })).toThrow(/needs LAI_WEBHOOK_SECRET.*whsec_/);
    for (const weak of ['secret', 'whsec_', 'whsec_c2hvcnQ='])
      expect(() => readConfig({}, { LAI_WEBHOOK_SECRET: weak })).toThrow(/openssl rand/);
  });

  it('take a certificate only with its key', () => {
    expect(readConfig({}, { LAI_TLS_CERT: 'c.pem', LAI_TLS_KEY: 'k.pem' })).toMatchObject({
      tlsCert: path.resolve('c.pem'),
      tlsKey: path.resolve('k.pem'),
    });
    for (const name of ['LAI_TLS_CERT', 'LAI_TLS_KEY']) expect(() => readConfig({}, { [name]: 'x.pem' })).toThrow(/together/);
  });

  it('take the local network only beside 127.0.0.1 without a certificate', () => {
    expect(readConfig({ lan: true }, {}).lan).toBe('auto');
    expect(readConfig({}, { LAI_LAN: 'false' }).lan).toBeUndefined();
    expect(() => readConfig({ lan: true, host: '0.0.0.0' }, {})).toThrow(/--lan/);
    expect(() => readConfig({ lan: true }, { LAI_TLS_CERT: 'c.pem', LAI_TLS_KEY: 'k.pem' })).toThrow(/--lan/);
    expect(() => readConfig({ lan: 'attic' }, {})).toThrow(/IPv4/);
  });

  /** Every setting: its variable, what the variable says and how that reads, and a flag that says otherwise. */
  const settings: Record<
    Exclude<keyof CoordinatorConfig, 'tlsCert' | 'tlsKey' | 'trustedProxies' | 'webhookHosts'>,
    { variable: string; text: string; value: unknown; flag: unknown }
  > = {
    dataDir: { variable: 'LAI_DATA_DIR', text: '/from/env', value: '/from/env', flag: '/from/flag' },
    host: { variable: 'LAI_HOST', text: '0.0.0.0', value: '0.0.0.0', flag: '::1' },
    port: { variable: 'LAI_PORT', text: '0', value: 0, flag: 8080 },
    lan: { variable: 'LAI_LAN', text: 'true', value: 'auto', flag: '192.168.1.20' },
    databaseUrl: { variable: 'DATABASE_URL', text: 'postgres://a/b', value: 'postgres://a/b', flag: path.resolve('c.sqlite') },
    publicUrl: {
      variable: 'LAI_PUBLIC_URL',
      text: 'https://lai.example/',
      value: 'https://lai.example',
      flag: 'http://10.0.0.1:5240',
    },
    releasesDir: { variable: 'LAI_RELEASES_DIR', text: '/srv/releases', value: '/srv/releases', flag: '/opt/releases' },
    configDir: { variable: 'LAI_CONFIG_DIR', text: '/etc/lai', value: '/etc/lai', flag: '/opt/lai' },
    environment: { variable: 'LAI_ENV', text: 'staging', value: 'staging', flag: 'production' },
    releaseKey: {
      variable: 'LAI_RELEASE_KEY',
      text: `${'A'.repeat(43)}=`,
      value: `${'A'.repeat(43)}=`,
      flag: `${'B'.repeat(43)}=`,
    },
    redisUrl: { variable: 'LAI_REDIS_URL', text: 'redis://a:6379', value: 'redis://a:6379', flag: 'redis://b:6379' },
    redisServer: { variable: 'LAI_REDIS_SERVER', text: '/usr/bin/redis-server', value: '/usr/bin/redis-server', flag: '/opt/r' },
    webhookSecret: { variable: 'LAI_WEBHOOK_SECRET', text: SECRET, value: SECRET, flag: `whsec_${'B'.repeat(43)}=` },
    payloadKey: {
      variable: 'LAI_PAYLOAD_KEY',
      text: `${'A'.repeat(43)}=`,
      value: `${'A'.repeat(43)}=`,
      flag: `${'B'.repeat(43)}=`,
    },
    queueWaitMs: { variable: 'LAI_QUEUE_WAIT_MS', text: '1000', value: 1_000, flag: 2_000 },
    keepAliveMs: { variable: 'LAI_KEEP_ALIVE_MS', text: '500', value: 500, flag: 600 },
    maxTextBodyBytes: { variable: 'LAI_MAX_TEXT_BODY_BYTES', text: '1024', value: 1_024, flag: 2_048 },
    logLevel: { variable: 'LAI_LOG_LEVEL', text: 'debug', value: 'debug', flag: 'warn' },
  };

  describe.each(Object.entries(settings))('%s', (setting, { variable, text, value, flag }) => {
    const read = (flags: Record<string, unknown>, env: NodeJS.ProcessEnv) =>
      (readConfig(flags, env) as Record<string, unknown>)[setting];

    it('is read from its variable', () => {
      expect(read({}, { [variable]: text })).toBe(value);
    });

    it('is read from its flag first', () => {
      expect(read({ [setting]: flag }, { [variable]: text })).toBe(flag);
    });

    it('is not set by an empty variable or an absent flag', () => {
      expect(read({ [setting]: undefined }, { [variable]: '' })).toBe(read({}, {}));
    });
  });

  it('name every wrong one at once', () => {
    const wrong = () => readConfig({ port: 'x' }, { LAI_QUEUE_WAIT_MS: '-5', LAI_LOG_LEVEL: 'y' });
    for (const setting of ['--port', 'LAI_QUEUE_WAIT_MS', 'LAI_LOG_LEVEL']) expect(wrong).toThrow(setting);
  });

  it('are spelled from where the program was started, and kept whole', () => {
    const { dataDir, releasesDir, databaseUrl, redisServer } = readConfig(
      { dataDir: 'c7' },
      { LAI_DATABASE_URL: 'other.sqlite', LAI_REDIS_SERVER: './redis-server' },
    );
    expect({ dataDir, releasesDir, databaseUrl, redisServer }).toEqual({
      dataDir: path.resolve('c7'),
      releasesDir: path.resolve('c7', 'releases'),
      databaseUrl: path.resolve('other.sqlite'),
      redisServer: path.resolve('redis-server'),
    });
    expect(readConfig({}, { LAI_REDIS_SERVER: 'valkey-server' }).redisServer).toBe('valkey-server');
  });

  it.each([
    ['LAI_DATABASE_URL', 'sqlite:/srv/lai.sqlite', 'sqlite:/srv/lai.sqlite'],
    ['LAI_DATABASE_URL', 'postgresql:///lai?host=/run/postgresql', 'postgresql:///lai?host=/run/postgresql'],
    ['LAI_REDIS_URL', 'unix:///run/redis.sock', 'unix:///run/redis.sock'],
    ['LAI_REDIS_URL', 'redis+cluster://a:6379,b:6379', 'redis+cluster://a:6379,b:6379'],
    ['LAI_PUBLIC_URL', 'lai.example:5240', 'http://lai.example:5240'],
    ['LAI_HOST', '[::1]', '::1'],
  ])('take %s=%s as %s', (variable, text, value) => {
    expect(Object.values(readConfig({}, { [variable]: text }))).toContain(value);
  });

  /** What people write instead of what was meant, for every setting of docs/settings.md. */
  const MISTAKES: Record<string, readonly string[]> = {
    LAI_DATA_DIR: ['~/lai', '~', 'file:///srv/lai', import.meta.filename],
    LAI_DEFAULT_DATA_DIR: ['~/lai'],
    LAI_HOST: ['http://0.0.0.0', '0.0.0.0:5240', 'lai.example/', 'a b', '*'],
    LAI_LAN: ['maybe', 'eth0', '192.168.1.0/24', '192.168.1.300'],
    LAI_PORT: ['65536', '-1', '52.5', 'http', ':5240'],
    LAI_TLS_CERT: ['~/lai.pem', 'file:///etc/lai.pem'],
    LAI_TLS_KEY: ['~/lai.key', 'file:///etc/lai.key'],
    LAI_TRUSTED_PROXIES: ['proxy.local', '10.0.0.0/33', '10.0.0.1;10.0.0.2', 'http://10.0.0.1', '10.0.0.0/8/8', 'fd00::/200'],
    LAI_DATABASE_URL: ['mysql://a/b', 'postgres:/a', 'postgres://a:b:c:d/e', 'http://a', '~/lai.sqlite', 'mongodb+srv://a'],
    DATABASE_URL: ['mysql://a/b'],
    LAI_PUBLIC_URL: [
      'lai.example',
      "https://lai.example/'; rm -rf /; '",
      'ftp://lai.example',
      'https://lai.example?x=1',
      'https://a b',
    ],
    LAI_RELEASES_DIR: ['~/releases', 'file:///srv/releases', import.meta.filename],
    LAI_RELEASE_KEY: ['a2V5', 'release.pub', `${'A'.repeat(44)}`],
    LAI_REDIS_URL: ['localhost:6379', 'http://localhost:6379', '127.0.0.1', '/run/redis.sock', 'redis:localhost'],
    LAI_REDIS_SERVER: ['~/redis-server', 'file:///usr/bin/redis-server'],
    LAI_CONFIG_DIR: ['~/config', import.meta.filename],
    LAI_ENV: ['../prod', 'a b', 'x'.repeat(65)],
    LAI_QUEUE_WAIT_MS: ['0', '600001', '280s', '1.5', '-1'],
    LAI_KEEP_ALIVE_MS: ['10s', '0', '0.5'],
    LAI_MAX_TEXT_BODY_BYTES: ['0', '4 MiB', '4M', '-1'],
    LAI_WEBHOOK_HOSTS: ['https://a.example/hook', 'a.example/hook', '*', 'a.example;b.example', '*.example'],
    LAI_WEBHOOK_SECRET: ['secret', 'whsec_', 'whsec_c2hvcnQ='],
    LAI_PAYLOAD_KEY: ['a2V5', 'secret', `${'A'.repeat(44)}`, 'ab'.repeat(32)],
    LAI_LOG_LEVEL: ['loud', 'WARN', '3'],
  };

  it.each(Object.entries(MISTAKES).flatMap(([variable, texts]) => texts.map((text) => [variable, text] as const)))(
    'refuse %s=%s, name it and say what to write',
    (variable, text) => {
      expect(() => readConfig({}, { LAI_WEBHOOK_SECRET: SECRET, [variable]: text })).toThrow(
        new RegExp(`cannot be used\\. ${variable} is .*: .*(?:use|write|expected) `),
      );
    },
  );

  it('are all known to docs/settings.md, and each has its mistakes', async () => {
    const page = await readFile(path.join(import.meta.dirname, '../../docs/settings.md'), 'utf8');
    const ours = page.slice(page.indexOf('## Coordinator'), page.indexOf('## Agent'));
    const documented = ours
      .split('\n')
      .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name));
    // These two are routing's own, and tried there (configuration/read-file.test.ts).
    const elsewhere = ['SMALL_TOKEN_THRESHOLD', 'MEDIUM_TOKEN_THRESHOLD'];
    expect(documented.toSorted()).toEqual([...Object.keys(MISTAKES), ...elsewhere].toSorted());
  });

  it('cannot be changed afterwards', () => {
    expect(() => Object.assign(readConfig({}, {}), { port: 1 })).toThrow(TypeError);
  });
});

describe('the data folder', () => {
  const home = os.homedir();

  it.each<[NodeJS.Platform, NodeJS.ProcessEnv, string]>([
    ['darwin', {}, path.join(home, 'Library', 'Application Support', 'Lai')],
    ['win32', { ProgramData: 'C:\\ProgramData' }, path.join('C:\\ProgramData', 'Lai')],
    ['win32', {}, path.join(home, 'AppData', 'Local', 'Lai')],
    ['linux', { XDG_DATA_HOME: '/xdg' }, '/xdg/lai'],
    ['linux', {}, path.join(home, '.local', 'share', 'lai')],
    ['linux', { XDG_DATA_HOME: '' }, path.join(home, '.local', 'share', 'lai')],
  ])('on %s with %j is %s', (platform, env, folder) => {
    expect(defaultDataDir(env, platform)).toBe(folder);
  });
});
