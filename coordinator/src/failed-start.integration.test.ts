import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CoordinatorConfig, readConfig } from './config.ts';
import { startCoordinator } from './coordinator.ts';
import { findRedisServer } from './redis/embedded.ts';

const log = pino({ level: 'silent' });
const redisServer = process.env['LAI_REDIS_SERVER'] ?? findRedisServer(process.env['PATH'] ?? '') ?? '';
let dataDir: string;
let taken: Server;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'lai-start-'));
  taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await new Promise((resolve) => taken.close(resolve));
  rmSync(dataDir, { recursive: true, force: true });
});

/** Processes that name the directory. */
const left = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(dataDir);
      } catch {
        return false;
      }
    });

const portOf = (server: Server): number => {
  const address = server.address();
  return address && typeof address === 'object' ? address.port : 0;
};

/** Something at each step of the start that does not work, in the order of the steps. */
const BROKEN: readonly (readonly [string, () => Record<string, unknown>, RegExp])[] = [
  ['the database', () => ({ databaseUrl: dataDir }), /database/i],
  [
    'the program of the private Redis',
    () => ({ redisServer: join(dataDir, 'nowhere') }),
    /private Redis cannot be started: \S+ could not be run/,
  ],
  ['an own Redis', () => ({ redisUrl: 'redis://:secret@127.0.0.1:9' }), /Redis cannot be used at redis:\/\/127\.0\.0\.1:9/],
  ['the key of payloads', () => ({ payloadKey: 'short' }), /LAI_PAYLOAD_KEY/],
  [
    'the folder of releases',
    () => {
      writeFileSync(join(dataDir, 'releases'), 'a file');
      return {};
    },
    /./,
  ],
  [
    'the certificate',
    () => ({ tlsCert: join(dataDir, 'no.pem'), tlsKey: join(dataDir, 'no.pem') }),
    /LAI_TLS_CERT is .*no\.pem, which cannot be read/,
  ],
  ['the port', () => ({ port: portOf(taken) }), /Port \d+ on 127\.0\.0\.1 is taken/],
  ['the address', () => ({ host: '192.0.2.1' }), /no address 192\.0\.2\.1 to listen on/],
];

describe.runIf(process.platform === 'linux')('startCoordinator', () => {
  it.each(BROKEN)('leaves no process behind when %s does not work', { timeout: 60_000 }, async (step, breakIt, sentence) => {
    mkdirSync(dataDir, { recursive: true });
    // Broken behind the settings' own checks: what was in order when it was read may not be a moment later.
    const settings = readConfig({ dataDir, port: 0, redisServer, logLevel: 'silent' }, {});
    const config: CoordinatorConfig = { ...settings, ...breakIt() };
    const started = await startCoordinator(config, log).then(
      (coordinator) => coordinator,
      (error: unknown) => error,
    );
    if (started instanceof Error) expect(started.message).toMatch(sentence);
    // A folder of releases that is none is a problem of the shelf, not of the start.
    else if (step === 'the folder of releases') await (started as { close(): Promise<void> }).close();
    else expect.fail(`it started although ${step} does not work`);
    expect(left()).toEqual([]);
  });
});
