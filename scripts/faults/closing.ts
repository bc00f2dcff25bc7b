import { setTimeout as pause } from 'node:timers/promises';
import { countFiles, readText } from './proc.ts';
import type { Stage } from './stage.ts';
import { redisCli } from './stage-redis.ts';

const QUIET_LIMIT_MS = 5_000;
/** Leases of a coordinator that was killed live this long, and nobody can give them back before. */
const LEASE_MS = 15_000;
const CAPACITY_LIMIT_MS = 5_000;
const GAUGE_PATIENCE_MS = 8_000;

/** What must be the same before and after; each with what it may differ by beside five per cent. */
export type Gauges = ReadonlyMap<string, { readonly value: number; readonly slack: number }>;

const MB = 1024 * 1024;
/** V8 keeps what it once had, up to a point. */
const RSS_SLACK_BYTES = 200 * MB;
const FD_SLACK = 12;
/** Of each kind: BullMQ keeps up to a hundred finished jobs per queue. */
const KEY_SLACK = 120;
const REDIS_SLACK_BYTES = 8 * MB;

/** Results of asynchronous jobs stay for a day, however many. */
const KEPT = 'lai:{job:';
const SIZE_OF_KEPT = `
  local bytes = 0
  for _, key in ipairs(redis.call('KEYS', ARGV[1])) do bytes = bytes + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0') end
  return bytes`;

/** Memory and file descriptors of the coordinators, memory and keys of Redis. Linux only; elsewhere there are none. */
export const readGauges = async (stage: Stage): Promise<Gauges> => {
  const gauges = new Map<string, { value: number; slack: number }>();
  for (const { program } of stage.replicas) {
    const rssKb = Number(/VmRSS:\s+(\d+)/.exec(readText(`/proc/${program.pid}/status`))?.[1]);
    const fds = countFiles(`/proc/${program.pid}/fd`);
    if (Number.isFinite(rssKb)) gauges.set(`memory of ${program.name} (bytes)`, { value: rssKb * 1024, slack: RSS_SLACK_BYTES });
    if (fds !== null) gauges.set(`file descriptors of ${program.name}`, { value: fds, slack: FD_SLACK });
  }
  const bytes = Number(/used_memory:(\d+)/.exec(await redisCli(stage.redisSocket, 'info', 'memory'))?.[1]);
  const keys = (await redisCli(stage.redisSocket, '--scan')).split('\n').filter((key) => key !== '' && !key.startsWith(KEPT));
  for (const [kind, some] of Map.groupBy(keys, kindOfKey))
    gauges.set(`keys in Redis like ${kind}`, { value: some.length, slack: KEY_SLACK });
  const kept = Number(await redisCli(stage.redisSocket, 'eval', SIZE_OF_KEPT, '0', `${KEPT}*`));
  gauges.set('memory of Redis beside kept results (bytes)', { value: bytes - kept, slack: REDIS_SLACK_BYTES });
  return gauges;
};

/** `lai:{q-17ab…}:req_99…` → `lai:{q-17ab…}:req_*`: finished jobs are kept by queue. */
const kindOfKey = (key: string): string => key.replaceAll(/(req_|job_|node:node_|replica:|leases:)[0-9a-f-]+/g, '$1*');

/** After a fault: waits for quiet, then writes down what is still taken, believed and used, for the checker to judge. */
export const closeBooks = async (stage: Stage, before: Gauges): Promise<void> => {
  const { history } = stage;
  await Promise.all(stage.nodes.filter(({ state }) => state !== 'down').map((node) => node.ready(15_000).catch(() => {})));
  const quietFromMs = performance.now();
  // Side by side: what is believed has nothing to wait for, leases of the dead have.
  const [left] = await Promise.all([taken(stage), compareCapacity(stage, quietFromMs)]);
  history.add({ type: 'info', what: 'quiet', ...left.counts });
  for (const slots of left.slots) history.add({ type: 'info', what: 'slots', ...slots });
  for (const node of stage.nodes)
    for (const line of node.outcries) history.add({ type: 'info', what: 'outcry', program: `agent ${node.name}`, line });
  for (const [name, { value, slack }] of await settledGauges(stage, before)) {
    const was = before.get(name)?.value ?? 0;
    history.add({ type: 'info', what: 'gauge', name, before: was, after: value, slack });
  }
};

/** Connections of our own clients stay open for a few seconds, and memory is given back when it suits V8. */
const settledGauges = async (stage: Stage, before: Gauges): Promise<Gauges> => {
  const deadline = performance.now() + GAUGE_PATIENCE_MS;
  for (;;) {
    const gauges = await readGauges(stage);
    const isBack = [...gauges].every(([name, { value, slack }]) => value <= (before.get(name)?.value ?? 0) + slack);
    if (isBack || performance.now() > deadline) return gauges;
    await pause(250);
  }
};

/** What is taken once nothing should be, looked at until it is nothing or time is up. */
const taken = async (stage: Stage) => {
  const deadline = Math.max(performance.now(), stage.lastKillAtMs + LEASE_MS) + QUIET_LIMIT_MS;
  for (;;) {
    const statuses = await Promise.all(stage.replicas.map((replica) => stage.status(replica)));
    const counts = {
      running: statuses.reduce((sum, { running }) => sum + running, 0),
      waiting: statuses.reduce((sum, { waiting }) => sum + waiting, 0),
    };
    const leases = await leasesByNode(stage, statuses[0]?.nodes ?? []);
    const slots = await Promise.all(
      stage.nodes.map(async ({ name, engine }) => {
        const { models } = await engine.state();
        const sum = (pick: (model: (typeof models)[number]) => number) => models.reduce((total, model) => total + pick(model), 0);
        return {
          node: name,
          leased: leases.get(name)?.length ?? 0,
          attempts: leases.get(name) ?? [],
          inUse: sum((model) => model.slotsInUse),
          maxInUse: Math.max(0, ...models.map((model) => model.maxSlotsInUse)),
          limit: Math.max(0, ...models.map((model) => model.slots)),
        };
      }),
    );
    const isQuiet = counts.running + counts.waiting === 0 && slots.every(({ leased, inUse }) => leased + inUse === 0);
    if (isQuiet || performance.now() > deadline) return { counts, slots };
    await pause(100);
  }
};

type NodeViews = Awaited<ReturnType<Stage['status']>>['nodes'];

/** Ids of leases, which are those of their attempts, that have not expired, over whichever connection of the node. */
const leasesByNode = async (stage: Stage, nodes: NodeViews): Promise<Map<string, string[]>> => {
  const script = `
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local out = {}
    for i, id in ipairs(ARGV) do
      local taken = {}
      for _, key in ipairs(redis.call('KEYS', 'lai:{node:' .. id .. '}:leases:*')) do
        if key:match(':leases:%d+$') then
          for _, lease in ipairs(redis.call('ZRANGEBYSCORE', key, now, '+inf')) do table.insert(taken, lease) end
        end
      end
      out[i] = '|' .. table.concat(taken, ' ')
    end
    return out`;
  const ids = nodes.map(({ nodeId }) => nodeId);
  const rows = (await redisCli(stage.redisSocket, 'eval', script, '0', ...ids)).trim().split('\n');
  const leases = (index: number) =>
    (rows[index] ?? '|')
      .slice(1)
      .split(' ')
      .filter((id) => id !== '');
  return new Map(nodes.map(({ snapshot }, index) => [snapshot?.name ?? '', leases(index)]));
};

/** Waits for the coordinators to believe what the engines say. */
const compareCapacity = async (stage: Stage, sinceMs: number): Promise<void> => {
  for (const replica of stage.replicas) {
    const deadline = sinceMs + CAPACITY_LIMIT_MS;
    for (;;) {
      const { nodes } = await stage.status(replica);
      const rows = await Promise.all(
        stage.nodes
          .filter(({ state }) => state === 'ready')
          .map(async ({ name, engine }) => {
            const view = nodes.find(({ snapshot }) => snapshot?.name === name);
            const believed =
              view?.liveness === 'alive' ? (view.snapshot?.models ?? []).filter(({ state }) => state === 'warm') : [];
            const real = (await engine.state()).models.filter(({ phase }) => phase === 'warm');
            return { node: name, believed: believed.map(({ id }) => id).sort(), true: real.map((model) => model.name).sort() };
          }),
      );
      const isSame = rows.every((row) => row.believed.join() === row.true.join());
      if (isSame || performance.now() > deadline) {
        const settledMs = performance.now() - sinceMs;
        for (const row of rows)
          stage.history.add({ type: 'info', what: 'capacity', ...row, settledMs, limitMs: CAPACITY_LIMIT_MS + 1_000 });
        break;
      }
      await pause(100);
    }
  }
};
