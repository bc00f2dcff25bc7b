import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { connectRedis, type LaiRedis } from './client.ts';
import { EmbeddedRedis, findRedisServer } from './embedded.ts';

/** A real Redis of its own for an integration test, as the product runs it. */
export const startTestRedis = async (): Promise<{ redis: LaiRedis; url: string; stop(): Promise<void> }> => {
  const log = pino({ level: 'silent' });
  const directory = mkdtempSync(join(tmpdir(), 'lai-redis-'));
  const program = process.env['LAI_REDIS_SERVER'] ?? findRedisServer(process.env['PATH'] ?? '');
  if (!program) throw new Error('integration tests need redis-server on PATH; npm test installs it');
  const embedded = new EmbeddedRedis({ dataDir: directory, program, address: 'a test', log });
  await embedded.start();
  const redis = await connectRedis(embedded.url, log);
  return {
    redis,
    url: embedded.url,
    stop: async () => {
      redis.disconnect();
      await embedded.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
