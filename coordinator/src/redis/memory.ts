import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { isUp, type LaiRedis, serversOf } from './client.ts';
import { keys } from './keys.ts';

const LOOK_MS = 1_000;

/**
 * Notices that Redis has lost its memory (wiped, or restarted without its file): a key of ours is gone or is another one. Whoever holds
 * live truth then tells it again. Of a cluster's masters one may lose its memory alone, where that key is not: one that was restarted, or
 * another one in its place, counts as well. Single writer of what it last saw.
 */
export class RedisMemory {
  readonly #redis: LaiRedis;
  readonly #onLost: () => void;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #seen: string | null = null;

  constructor(options: { redis: LaiRedis; onLost: () => void; log: Logger }) {
    this.#redis = options.redis;
    this.#onLost = options.onLost;
    this.#log = options.log;
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    void this.look();
  }

  async look(): Promise<void> {
    if (!isUp(this.#redis)) return;
    try {
      await this.#redis.set(keys.memory, randomUUID(), 'NX');
      const now = [await this.#redis.get(keys.memory), ...(await this.#masters())].join();
      const isLost = this.#seen !== null && now !== this.#seen;
      this.#seen = now;
      if (!isLost) return;
      this.#log.warn('redis has lost its memory; telling it again what is going on');
      this.#onLost();
    } catch (error) {
      this.#log.debug({ err: error }, 'redis not looked at');
    }
  }

  async #masters(): Promise<string[]> {
    const servers = serversOf(this.#redis);
    if (servers.length < 2) return [];
    const infos = await Promise.all(servers.map((server) => server.info('server')));
    return infos.map((info) => /run_id:(\w+)/.exec(info)?.[1] ?? '').toSorted();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
