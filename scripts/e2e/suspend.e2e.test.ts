import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';
const ONLY_LEFT = 'poem:1b';
const ask = (max_tokens: number, more = '') => ({
  ...{ model: MODEL, stream: true, max_tokens },
  messages: [{ role: 'user', content: `Tell me a story.${more}` }],
});

/** Longer than a busy node may be silent, shorter than an agent waits for its coordinator. */
const NAP_MS = 5_000;
/** Longer than leases and records live, and than agents wait. */
const SLEEP_MS = 17_000;

describe('a coordinator that was stopped', () => {
  let first: Fleet;
  let second: Fleet;
  const bothAlive = ({ nodes }: { nodes: readonly { liveness: string }[] }) =>
    nodes.filter(({ liveness }) => liveness === 'alive').length === 2;

  beforeAll(async () => {
    const node = (name: string, more = '') => ({
      name,
      models: `${MODEL}=0.1GB,slots=3,tps=200,caps=chat${more}`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
    });
    first = await Fleet.start({ nodes: [node('left', `;${ONLY_LEFT}=0.1GB,slots=1,caps=chat`)] });
    second = await Fleet.startReplica(first, { nodes: [node('right')] });
    for (const fleet of [first, second]) await fleet.until('both nodes are alive', bothAlive);
    for (const model of [MODEL, ONLY_LEFT]) await first.warmUp(model);
    await second.warmUp(MODEL);
  });
  afterAll(async () => {
    await second?.stop();
    await first?.stop();
  });

  const stopFor = async (ms: number) => {
    first.coordinator.kill('SIGSTOP');
    await pause(ms);
    first.coordinator.kill('SIGCONT');
  };

  it('for seconds gives up none of its nodes, and its own answers go on', { timeout: 60_000 }, async () => {
    // Six slots, six answers, on both nodes; 8 s each (40 ms a token).
    // All have begun: one that had not would be asked again, which is another test's matter.
    let begun = 0;
    const allBegun = Promise.withResolvers<void>();
    const running = Array.from({ length: 6 }, async () => {
      const response = await first.chat(ask(200, ' #fault=slow:1:40'));
      let isFirst = true;
      const seen = await readStream(response, () => {
        if (isFirst && ++begun === 6) allBegun.resolve();
        isFirst = false;
      });
      return { node: response.headers.get('x-lai-node'), seen };
    });
    await allBegun.promise;
    await stopFor(NAP_MS);
    const answers = await Promise.all(running);
    const own = answers.filter(({ node }) => node === 'left');
    expect(own).toHaveLength(3);
    expect(own.map(({ seen: { isDone, errors } }) => ({ isDone, errors }))).toEqual(
      Array.from({ length: 3 }, () => ({ isDone: true, errors: [] })),
    );
    // To the other one it was gone; that answers over it end is said.
    for (const { seen } of answers)
      expect(seen.isDone ? seen.errors : seen.errors.map(({ code }) => code)).toEqual(seen.isDone ? [] : ['node_lost']);
    expect(first.coordinator.text).not.toContain('does not answer pings');
    await first.until('nothing is left over', ({ running: count, waiting }) => count + waiting === 0);
  });

  it('does not blame a node for a word that it had no time to read', { timeout: 60_000 }, async () => {
    const { agent } = first.node('left');
    agent.kill('SIGSTOP');
    const asked = first.chat({ ...ask(5), model: ONLY_LEFT });
    await first.until('it is on its way', ({ running }) => running === 1);
    first.coordinator.kill('SIGSTOP');
    agent.kill('SIGCONT');
    // Longer than a node has for its word, also the only one.
    await pause(NAP_MS);
    first.coordinator.kill('SIGCONT');
    const response = await asked;
    expect((await readStream(response)).isDone).toBe(true);
    expect(response.headers.get('x-lai-attempts')).toBe('1');
  });

  it('for longer than leases live has its fleet back within seconds, and nothing is held for ever', {
    timeout: 60_000,
  }, async () => {
    await stopFor(SLEEP_MS);
    expect((await readStream(await first.chat(ask(5)))).isDone).toBe(true);
    for (const fleet of [first, second]) await fleet.until('both nodes are alive', bothAlive, 30_000);
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, at) => readStream(await (at % 2 ? first : second).chat(ask(5)))),
    );
    expect(answers.every(({ isDone }) => isDone)).toBe(true);
    await first.until('nothing is left over', ({ running: count, waiting }) => count + waiting === 0);
    await expect
      .poll(async () => (await first.redisCli('--scan', '--pattern', 'lai:{node:*}:leases*')).trim(), { timeout: 20_000 })
      .toBe('');
  });
});
