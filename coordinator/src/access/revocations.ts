import type { Logger } from 'pino';
import { z } from 'zod';
import type { LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { Subscriber } from '../redis/subscriber.ts';

/** Something has another right than before, most often none. It names what to look at again; the database says what is true. Tokens: for those who watch. */
export const Revocation = z.object({ kind: z.enum(['key', 'node', 'session', 'token']), id: z.string().max(64) });
export type Revocation = z.infer<typeof Revocation>;

/**
 * Carries news of changed rights to every replica. A message can get lost (Redis away, connection lost), so whoever listens also looks
 * by itself every few seconds; the message is what makes it fast.
 */
export class Revocations {
  readonly #redis: LaiRedis;
  readonly #onNews: (news: Revocation | 'everything') => void;
  readonly #log: Logger;

  constructor(options: { redis: LaiRedis; onNews: (news: Revocation | 'everything') => void; log: Logger }) {
    this.#redis = options.redis;
    this.#onNews = options.onNews;
    this.#log = options.log;
  }

  async start(subscriber: Subscriber): Promise<void> {
    subscriber.onBack(() => this.#onNews('everything'));
    await subscriber.listen(keys.revokedChannel, (message) => {
      const news = parse(message.toString());
      if (news) this.#onNews(news);
    });
  }

  /** Here at once, elsewhere as fast as Redis is. */
  announce(revocation: Revocation): void {
    this.#onNews(revocation);
    this.#redis.publish(keys.revokedChannel, JSON.stringify(revocation)).catch((error: unknown) => {
      this.#log.warn({ err: error, ...revocation }, 'other replicas were not told; they find out within 5 s');
    });
  }
}

const parse = (json: string): Revocation | null => {
  try {
    return Revocation.parse(JSON.parse(json));
  } catch {
    return null;
  }
};
