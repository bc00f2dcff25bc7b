import { setTimeout as pause } from 'node:timers/promises';
import { useOf } from '../bench-agent/process-use.ts';
import { enrollRaw, RawAgent } from '../e2e/raw-agent.ts';
import type { Demo } from './demo.ts';

const AGENTS = 50;
const SNAPSHOTS_PER_SECOND = 100;
const MODELS = 50;
const MEASURE_MS = 6_000;
const SETTLE_MS = 1_500;

export interface ListenerCost {
  readonly listeners: number;
  /** Of one core. */
  readonly share: number;
  readonly megabytesPerSecond: number;
}

/** What the coordinator's process uses while machines report, with nobody watching and with 20 who do. Linux only. */
export const costOfListeners = async (demo: Demo): Promise<ListenerCost[]> => {
  if (process.platform !== 'linux') return [];
  const agents = await connectAgents(demo);
  let at = 0;
  const telling = setInterval(() => {
    at += 1;
    agents[at % agents.length]?.say({ type: 'node.status', snapshot: snapshotOf(`bench-${at % agents.length}`, at) });
  }, 1_000 / SNAPSHOTS_PER_SECOND);
  try {
    await pause(SETTLE_MS);
    return [await measure(demo, 0), await measure(demo, 20)];
  } finally {
    clearInterval(telling);
    for (const { socket } of agents) socket.close();
  }
};

const measure = async (demo: Demo, listeners: number): Promise<ListenerCost> => {
  const stop = new AbortController();
  let bytes = 0;
  const keys = await Promise.all(
    Array.from({ length: Math.ceil(listeners / 4) }, async (_, key) => {
      const issued = (await demo.api('POST', 'keys', { name: `bench ${listeners} ${key}`, scopes: ['read'] })) as { key: string };
      return issued.key;
    }),
  );
  for (let listener = 0; listener < listeners; listener += 1) {
    const response = await fetch(`${demo.url}/api/v1/events`, {
      headers: { authorization: `Bearer ${keys[listener % keys.length]}` },
      signal: stop.signal,
    });
    void read(response, (length) => {
      bytes += length;
    });
  }
  await pause(SETTLE_MS);
  const before = useOf(demo.pid).cpuMs;
  const [startBytes, startMs] = [bytes, performance.now()];
  await pause(MEASURE_MS);
  const elapsedMs = performance.now() - startMs;
  const cost = {
    listeners,
    share: (useOf(demo.pid).cpuMs - before) / elapsedMs,
    megabytesPerSecond: (bytes - startBytes) / 1_000 / elapsedMs,
  };
  stop.abort();
  return cost;
};

const read = async (response: Response, onBytes: (length: number) => void): Promise<void> => {
  try {
    for await (const piece of response.body ?? []) onBytes(piece.length);
  } catch {
    // Ended by us.
  }
};

const connectAgents = async (demo: Demo): Promise<RawAgent[]> => {
  const { token } = (await demo.api('POST', 'tokens', { maxUses: AGENTS, needsApproval: true })) as { token: string };
  const agents: RawAgent[] = [];
  for (let at = 0; at < AGENTS; at += 1) {
    const identity = await enrollRaw(demo.url, token, `bench-${at}`);
    await demo.api('POST', `nodes/${identity.nodeId}/approve`);
    const agent = new RawAgent(demo.url);
    const answer = await agent.greet(identity);
    if (answer['type'] !== 'node.welcome') throw new Error(JSON.stringify(answer));
    agents.push(agent);
  }
  return agents;
};

const GIB = 1024 ** 3;

/** A machine with many models of which two are warm, and readings that never stand still. */
const snapshotOf = (name: string, sequence: number) => ({
  ...{ name, sequence, takenAtMs: Date.now(), agentVersion: '0.1.0', os: { platform: 'linux', release: '6', arch: 'x64' } },
  runtimes: [{ kind: 'mock', version: null, state: 'ready', mode: 'owned', isSimulated: true, detail: null }],
  gpus: [
    {
      ...{ id: 'g', name: 'Bench', vendor: 'simulated', isUnifiedMemory: false, driverVersion: null },
      ...{ vramTotalBytes: 16 * GIB, vramUsedBytes: 8 * GIB + sequence, vramFreeBytes: 8 * GIB - sequence },
      ...{ utilization: (sequence % 100) / 100, temperatureCelsius: 40 + (sequence % 30), powerWatts: 20 + (sequence % 90) },
    },
  ],
  ...{
    memory: { totalBytes: 32 * GIB, freeBytes: 16 * GIB },
    modelDiskFreeBytes: 100 * GIB,
    holds: [],
    maxConcurrent: 4,
    inFlight: 0,
  },
  models: Array.from({ length: MODELS }, (_, at) => ({
    ...{
      id: `bench-model:${at}b`,
      runtime: 'mock',
      state: at < 2 ? 'warm' : 'cold',
      capabilities: ['chat'],
      contextLength: 8_192,
    },
    ...{
      sizeBytes: 4 * GIB,
      vramBytes: at < 2 ? 4 * GIB : 0,
      slots: 2,
      inFlight: 0,
      isPinned: false,
      expiresAtMs: null,
      failure: null,
    },
  })),
});
