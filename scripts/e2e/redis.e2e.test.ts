import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';
const ask = (max_tokens: number, text = 'Tell me a story.') => ({
  model: MODEL,
  stream: true,
  max_tokens,
  messages: [{ role: 'user', content: text }],
});

describe('Redis', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    const node = (name: string) => ({
      name,
      models: `${MODEL}=0.1GB,slots=4,tps=200,caps=chat`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
    });
    fleet = await Fleet.start({ nodes: [node('left'), node('right')] });
    await fleet.warmUp(MODEL);
  });
  afterAll(() => fleet?.stop());

  /** How one request ended, as its client saw it. */
  const ending = async (max_tokens: number, text?: string): Promise<'answer' | 'error event' | 'http error' | 'cut short'> => {
    const response = await fleet.chat(ask(max_tokens, text));
    if (!response.ok) {
      const { error } = (await response.json()) as { error: { code: string } };
      return error.code ? 'http error' : 'cut short';
    }
    const seen = await readStream(response);
    return seen.isDone && seen.errors.length === 0
      ? 'answer'
      : seen.errors.length === 1 && !seen.isDone
        ? 'error event'
        : 'cut short';
  };

  const redisPid = async (): Promise<number> =>
    Number(/process_id:(\d+)/.exec(await fleet.redisCli('info', 'server').catch(() => ''))?.[1]);

  it('killed and restarted under load: every request ends in an answer or an explicit error', async () => {
    const requests: Promise<Awaited<ReturnType<typeof ending>>>[] = [];
    const kills = new Set([20, 60]);
    let last = 0;
    for (let count = 0; count < 100; count += 1) {
      if (kills.has(count)) {
        await expect.poll(redisPid).toSatisfy((pid) => pid > 0 && pid !== last);
        last = await redisPid();
        process.kill(last, 'SIGKILL');
      }
      requests.push(ending(20));
      await pause(10);
    }
    const endings = await Promise.all(requests);
    expect(endings).not.toContain('cut short');
    // It is back within a second, so most requests do not even notice.
    expect(endings.filter((one) => one === 'answer').length).toBeGreaterThan(80);
    await fleet.until('nothing is left over', (status) => status.redis === 'up' && status.running === 0 && status.waiting === 0);
  });

  it('wiped: the fleet is there again within 15 s and waiting requests are answered', async () => {
    const running = Array.from({ length: 8 }, () => ending(200, 'Slowly. #fault=slow:1:25'));
    await fleet.until('all slots are taken', (status) => status.running === 8);
    const waiting = Array.from({ length: 6 }, () => ending(5));
    await fleet.until('six wait', (status) => status.waiting === 6);
    await fleet.redisCli('flushall');
    expect(await Promise.all(waiting)).toEqual(Array(6).fill('answer'));
    expect(await Promise.all(running)).toEqual(Array(8).fill('answer'));
    const deadline = performance.now() + 15_000;
    for (;;) {
      const records = (await fleet.redisCli('--scan', '--pattern', 'lai:{node:*}:record'))
        .split('\n')
        .filter((line) => line !== '');
      if (records.length === 2) break;
      expect(performance.now()).toBeLessThan(deadline);
      await pause(100);
    }
  });

  it('never holds a prompt', async () => {
    await readStream(await fleet.chat({ ...ask(3), messages: [{ role: 'user', content: 'canary-7f3a' }] }));
    const keys = (await fleet.redisCli('--scan')).split('\n').filter((line) => line !== '');
    expect(keys.length).toBeGreaterThan(0);
    const files = ['appendonly.aof.1.base.rdb', 'appendonly.aof.1.incr.aof'].map((name) =>
      readFileSync(join(fleet.dataDir, 'redis', 'appendonlydir', name), 'latin1'),
    );
    expect(files.join('')).toContain(MODEL);
    expect(files.join('')).not.toContain('canary-7f3a');
    expect(fleet.coordinator.text).not.toContain('canary-7f3a');
    for (const node of fleet.nodes) expect(node.agent.text).not.toContain('canary-7f3a');
  });

  it('keeps no more than it needs when all is quiet', async () => {
    for (let count = 0; count < 20; count += 1) await ending(2);
    const leases = (await fleet.redisCli('--scan', '--pattern', 'lai:{node:*}:leases*'))
      .split('\n')
      .filter((line) => line !== '');
    expect(leases).toEqual([]);
    const jobs = (await fleet.redisCli('--scan', '--pattern', 'lai:{q-*}:req_*')).split('\n').filter((line) => line !== '');
    // BullMQ trims when a job ends, a hundred are kept.
    expect(jobs.length).toBeLessThanOrEqual(150);
    const waiting = await fleet.redisCli('--scan', '--pattern', 'lai:{q-*}:wait');
    expect(waiting.trim()).toBe('');
  });
});
