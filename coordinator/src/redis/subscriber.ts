import type { Redis } from 'ioredis';
import { another, type LaiRedis } from './client.ts';

/** Pub/sub needs a connection of its own. Channels are subscribed again by themselves after an outage; what was said meanwhile is lost. */
export class Subscriber {
  readonly #redis: Redis;
  readonly #listeners = new Map<string, (message: Buffer) => void>();

  constructor(redis: LaiRedis) {
    this.#redis = another(redis, {
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      autoResubscribe: true,
      lazyConnect: false,
    });
    this.#redis.on('error', () => {});
    this.#redis.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#listeners.get(channel.toString())?.(message));
  }

  /** One listener per channel. */
  async listen(channel: string, listener: (message: Buffer) => void): Promise<void> {
    this.#listeners.set(channel, listener);
    await this.#redis.subscribe(channel);
  }

  /** Called when the connection is back: messages may have been missed. */
  onBack(listener: () => void): void {
    this.#redis.on('ready', listener);
  }

  close(): void {
    this.#redis.disconnect();
  }
}
