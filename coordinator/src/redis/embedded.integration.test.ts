import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EmbeddedRedis, findRedisServer } from './embedded.ts';
import { repairPrivateRedis } from './repair.ts';

const program = findRedisServer(process.env['PATH'] ?? '') ?? '';

const setUp = () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'lai-redis-'));
  const started: EmbeddedRedis[] = [];
  onTestFinished(async () => {
    for (const each of started) await each.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const make = () => {
    const redis = new EmbeddedRedis({ dataDir, program, address: 'http://127.0.0.1:21400', log: pino({ level: 'silent' }) });
    started.push(redis);
    return redis;
  };
  const ask = async <T>(question: (redis: Redis) => Promise<T>): Promise<T> => {
    const redis = new Redis(join(dataDir, 'redis', 'redis.sock'), { lazyConnect: true, retryStrategy: () => null });
    redis.on('error', () => {});
    try {
      await redis.connect();
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  };
  const pid = () => ask(async (redis) => Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]));
  const aof = () => {
    const directory = join(dataDir, 'redis', 'appendonlydir');
    return { directory, incr: join(directory, readdirSync(directory).find((name) => name.endsWith('.incr.aof')) ?? '') };
  };
  return { dataDir, make, ask, pid, aof };
};

/** A coordinator that was killed: its Redis runs on and is nobody's child. */
const orphan = (dataDir: string) =>
  spawn(program, [join(dataDir, 'redis', 'redis.conf')], { detached: true, stdio: 'ignore' }).unref();

describe('EmbeddedRedis', () => {
  it('starts a Redis again that it had adopted, when that ends', async () => {
    const { dataDir, make, ask, pid } = setUp();
    const first = make();
    await first.start();
    await ask((redis) => redis.set('job', 'kept'));
    await first.close();
    orphan(dataDir);
    await expect.poll(() => pid().catch(() => null)).toBeGreaterThan(0);
    const second = make();
    await second.start();
    const adopted = await pid();
    process.kill(adopted, 'SIGKILL');
    await expect.poll(() => pid().catch(() => adopted)).not.toBe(adopted);
    expect(await ask((redis) => redis.get('job'))).toBe('kept');
  });

  it('refuses a second coordinator on the directory by name, and leaves the first its Redis', async () => {
    const { make, pid } = setUp();
    const first = make();
    await first.start();
    const before = await pid();
    const second = make();
    await expect(second.start()).rejects.toThrow(`process ${process.pid}, http://127.0.0.1:21400`);
    await second.close();
    expect(await pid()).toBe(before);
    expect(first.isSteady).toBe(true);
    await first.close();
    await make().start();
  });

  it('names a file that ends in zeros, as a power cut leaves it, and a repair brings everything else back', async () => {
    const { dataDir, make, ask, aof } = setUp();
    const first = make();
    await first.start();
    await ask((redis) => redis.set('job', 'kept'));
    await first.close();
    appendFileSync(aof().incr, Buffer.alloc(64));
    const startedAt = performance.now();
    await expect(make().start()).rejects.toThrow('lai doctor --repair');
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(await repairPrivateRedis({ dataDir, program })).toMatchObject({
      kind: 'repaired',
      hadNoManifest: false,
      cutBytes: 64,
    });
    expect(await repairPrivateRedis({ dataDir, program })).toEqual({ kind: 'whole' });
    await make().start();
    expect(await ask((redis) => redis.get('job'))).toBe('kept');
  });

  it('does not begin empty when the list of its files is gone, and a repair writes it anew', async () => {
    const { dataDir, make, ask, aof } = setUp();
    const first = make();
    await first.start();
    await ask((redis) => redis.set('job', 'kept'));
    await first.close();
    rmSync(join(aof().directory, 'appendonly.aof.manifest'));
    await expect(make().start()).rejects.toThrow('lai doctor --repair');
    const repair = await repairPrivateRedis({ dataDir, program });
    expect(repair).toMatchObject({ kind: 'repaired', hadNoManifest: true, cutBytes: 0 });
    expect(readFileSync(join(aof().directory, 'appendonly.aof.manifest'), 'utf8')).toContain('type i');
    await make().start();
    expect(await ask((redis) => redis.get('job'))).toBe('kept');
  });

  it('is not steady, and waits longer each time, while its Redis ends again and again', async () => {
    const { make, pid } = setUp();
    const redis = make();
    await redis.start();
    expect(redis.isSteady).toBe(true);
    const first = await pid();
    process.kill(first, 'SIGKILL');
    await expect.poll(() => redis.isSteady).toBe(false);
    await expect.poll(() => pid().catch(() => first)).not.toBe(first);
    expect(redis.isSteady).toBe(false);
    await expect.poll(() => redis.isSteady).toBe(true);
  });
});
