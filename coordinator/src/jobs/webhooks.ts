import { createHmac } from 'node:crypto';
import type { Logger } from 'pino';
import { judgeUrl, type OutgoingPolicy, openOutgoing } from '../access/outgoing.ts';
import { type Clock, repeat } from '../dispatch/clock.ts';
import { isUp, type LaiRedis } from '../redis/client.ts';
import { keys } from '../redis/keys.ts';
import type { JobStore, StoredJob } from './job-store.ts';

const LOOK_MS = 2_000;
const AT_ONCE = 20;
/** Over five hours and a half, while the job is kept for a day. */
const TRIES = 12;
const FIRST_RETRY_MS = 5_000;
const ANSWER_LIMIT_MS = 10_000;
const CLAIM_MS = 30_000;
/** The operator has listed the hosts, so they may be in the house. */
const LISTED: OutgoingPolicy = { isPlainAllowed: true, isPrivateAllowed: true };

/**
 * Tells the webhooks of jobs that have ended: once if it is taken (any 2xx), else again with growing pauses, from whichever replica comes
 * first. Goes only to hosts that the operator has listed, follows no redirect, and is signed as Standard Webhooks
 * (https://www.standardwebhooks.com) and OpenAI do it, so that their libraries can check it: `client.webhooks.unwrap` of `openai`.
 */
export class Webhooks {
  readonly #redis: LaiRedis;
  readonly #store: JobStore;
  readonly #hosts: ReadonlySet<string>;
  readonly #secret: Buffer | null;
  readonly #describe: (job: StoredJob) => unknown;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stop: () => void;

  constructor(options: {
    redis: LaiRedis;
    store: JobStore;
    /** `host` or `host:port`, as they stand in URLs. */
    hosts: readonly string[];
    /** `whsec_` and base64; null when no host is listed. */
    secret: string | null;
    describe: (job: StoredJob) => unknown;
    clock: Clock;
    log: Logger;
  }) {
    this.#redis = options.redis;
    this.#store = options.store;
    this.#hosts = new Set(options.hosts);
    this.#secret = options.secret === null ? null : Buffer.from(options.secret.replace(/^whsec_/, ''), 'base64');
    this.#describe = options.describe;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#stop = repeat(options.clock, LOOK_MS, () => void this.#look());
  }

  allows(url: string): boolean {
    const verdict = judgeUrl(url, LISTED);
    return this.#secret !== null && verdict.kind === 'fine' && this.#hosts.has(verdict.url.host);
  }

  close(): void {
    this.#stop();
  }

  async #look(): Promise<void> {
    if (!isUp(this.#redis)) return;
    try {
      const due = await this.#redis.zrangebyscore(keys.webhooks, '-inf', String(this.#clock.wallMs()), 'LIMIT', 0, AT_ONCE);
      await Promise.all(due.map((id) => this.#tell(id)));
    } catch (error) {
      this.#log.debug({ err: error }, 'webhooks not looked at');
    }
  }

  async #tell(id: string): Promise<void> {
    if ((await this.#redis.set(keys.webhookClaim(id), '1', 'PX', CLAIM_MS, 'NX')) !== 'OK') return;
    try {
      const job = await this.#store.read(id);
      if (!job?.webhook || !this.allows(job.webhook)) {
        await this.#redis.zrem(keys.webhooks, id);
      } else if (job.finishedAtMs === undefined) {
        // listed just before its end was recorded
      } else if (await this.#post(job.webhook, job)) {
        await this.#redis.zrem(keys.webhooks, id);
      } else {
        await this.#putOff(id, job.finishedAtMs);
      }
    } finally {
      await this.#redis.del(keys.webhookClaim(id));
    }
  }

  async #post(url: string, job: StoredJob): Promise<boolean> {
    const seconds = Math.floor(this.#clock.wallMs() / 1_000);
    // The same however often it is told: receivers know by it what they have heard already.
    const id = job.id.replace(/^job_/, 'evt_');
    const body = JSON.stringify({
      ...{ id, object: 'event', type: `job.${job.state}`, created_at: seconds },
      data: this.#describe(job),
    });
    const signature = createHmac('sha256', this.#secret ?? '')
      .update(`${id}.${seconds}.${body}`)
      .digest('base64');
    try {
      const response = await openOutgoing({
        ...{ url, policy: LISTED, method: 'POST', body, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) },
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(seconds),
          'webhook-signature': `v1,${signature}`,
        },
      });
      response.destroy();
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return true;
      this.#log.warn({ jobId: job.id, status }, 'webhook did not take the news');
    } catch (error) {
      this.#log.warn({ jobId: job.id, err: error }, 'webhook not reached');
    }
    return false;
  }

  /** Each pause is twice the last: 5, 10, 20 seconds and so on. */
  async #putOff(id: string, finishedAtMs: number): Promise<void> {
    const tried = Math.max(0, Math.floor(Math.log2(Math.max(0, this.#clock.wallMs() - finishedAtMs) / FIRST_RETRY_MS + 1)));
    if (tried < TRIES) await this.#redis.zadd(keys.webhooks, this.#clock.wallMs() + FIRST_RETRY_MS * 2 ** tried, id);
    else await this.#redis.zrem(keys.webhooks, id);
  }
}
