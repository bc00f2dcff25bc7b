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
    expect(readConfig({}, { LAI_TLS_CERT: 'c.pem', LAI_TLS_KEY: 'k.pem' })).toMatchObject({ tlsCert: 'c.pem', tlsKey: 'k.pem' });
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
    databaseUrl: { variable: 'DATABASE_URL', text: 'postgres://a/b', value: 'postgres://a/b', flag: 'c.sqlite' },
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
    payloadKey: { variable: 'LAI_PAYLOAD_KEY', text: 'a2V5', value: 'a2V5', flag: 'a2V6' },
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

  it.each([
    ['LAI_PORT', '65536'],
    ['LAI_PORT', '-1'],
    ['LAI_PORT', '52.5'],
    ['LAI_PORT', 'http'],
    ['LAI_QUEUE_WAIT_MS', '0'],
    ['LAI_QUEUE_WAIT_MS', '600001'],
    ['LAI_KEEP_ALIVE_MS', '10s'],
    ['LAI_MAX_TEXT_BODY_BYTES', '0'],
    ['LAI_LOG_LEVEL', 'loud'],
    ['LAI_PUBLIC_URL', 'lai.example'],
    ['LAI_PUBLIC_URL', "https://lai.example/'; rm -rf /; '"],
    ['LAI_RELEASE_KEY', 'a2V5'],
  ])('refuse %s=%s and say which one it is', (variable, text) => {
    expect(() => readConfig({}, { [variable]: text })).toThrow(
      new RegExp(`cannot be used\\. ${variable} is .*: (use|expected) `),
    );
  });

  it('name every wrong one at once', () => {
    const wrong = () => readConfig({ port: 'x' }, { LAI_QUEUE_WAIT_MS: '-5', LAI_LOG_LEVEL: 'y' });
    for (const setting of ['--port', 'LAI_QUEUE_WAIT_MS', 'LAI_LOG_LEVEL']) expect(wrong).toThrow(setting);
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
