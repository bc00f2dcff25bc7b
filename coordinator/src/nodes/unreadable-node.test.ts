import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Frame } from '@lai/shared/attempt';
import type { NodeSnapshot } from '@lai/shared/node';
import { readAgentMessage } from '@lai/shared/protocol/codec';
import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { NodeSession } from './node-session.ts';
import { heldAsUnreadable } from './unreadable-node.ts';

const SNAPSHOT: NodeSnapshot = {
  name: 'attic',
  sequence: 7,
  takenAtMs: 1,
  agentVersion: '1.0.0',
  os: { platform: 'linux', release: '6', arch: 'x64' },
  runtimes: [],
  gpus: [],
  memory: { totalBytes: 8, freeBytes: 4 },
  modelDiskFreeBytes: null,
  models: ['good:1b', 'odd:1b', 'other:1b'].map((id) => ({
    id,
    runtime: 'ollama',
    state: 'warm',
    capabilities: ['chat'],
    contextLength: 4_096,
    sizeBytes: 1,
    vramBytes: 1,
    slots: 1,
    inFlight: 0,
    isPinned: false,
    expiresAtMs: null,
    failure: null,
  })),
  holds: [],
  maxConcurrent: 4,
  inFlight: 0,
};

/** A session over a real socket, and the node's end of it. */
const connect = async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const node = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [socket] = (await connected) as [WebSocket];
  const heard: { snapshots: NodeSnapshot[]; problems: string[] } = { snapshots: [], problems: [] };
  const session = new NodeSession({
    nodeId: 'n1',
    epoch: 1,
    instanceId: 'i1',
    socket,
    wire: { cork: () => {}, uncork: () => {} },
    events: {
      snapshot: (snapshot) => heard.snapshots.push(snapshot),
      unreadable: (problem) => heard.problems.push(problem),
      liveness: () => {},
      misbehaved: () => {},
      closed: () => {},
    },
    log: pino({ level: 'silent' }),
  });
  await once(node, 'open').catch(() => {});
  onTestFinished(() => {
    node.terminate();
    server.close();
  });
  const say = (message: unknown) => node.send(typeof message === 'string' ? message : JSON.stringify(message));
  const attempt = (attemptId: string) =>
    session.startAttempt({
      attemptId,
      requestId: 'r',
      route: 'chat.completions',
      model: 'good:1b',
      body: Buffer.from('{}'),
      deadlines: { firstContentMs: 60_000, stallMs: 60_000, totalMs: 600_000 },
      acceptMs: 60_000,
    });
  return { heard, say, attempt };
};

const lastFrame = async (frames: AsyncIterable<Frame>): Promise<Frame | undefined> => {
  let last: Frame | undefined;
  for await (const frame of frames) last = frame;
  return last;
};

const ODD = [0, -1, 1.5, 2 ** 60, 1e300, null, '', 'x'.repeat(600), true, [], {}, [null], { promptTokens: -1 }];

describe('a message of a node that cannot be read', () => {
  it('ends its attempt, whichever field of the ending is odd', async () => {
    const { say, attempt } = await connect();
    const endings = ['attempt.end', 'attempt.fail'].flatMap((type) =>
      ['finishReason', 'usage', 'timings', 'code', 'detail', 'explanation'].flatMap((field) =>
        ODD.map((value) => ({ type, finishReason: 'stop', usage: null, timings: null, code: 'engine_error', [field]: value })),
      ),
    );
    const running = endings.map((message, index) => {
      const { frames } = attempt(`a${index}`);
      say({ ...message, attemptId: `a${index}` });
      return lastFrame(frames);
    });
    for (const frame of await Promise.all(running)) expect(frame?.kind).toMatch(/^(?:end|failed)$/);
  });

  it('keeps an answer whole when only its usage is odd', async () => {
    const { say, attempt } = await connect();
    const { frames } = attempt('a');
    const usage = { promptTokens: 12, completionTokens: 3, cachedTokens: -4 };
    say({ type: 'attempt.end', attemptId: 'a', finishReason: 'stop', usage, timings: null });
    expect(await lastFrame(frames)).toMatchObject({ kind: 'end', finishReason: 'stop', usage: { ...usage, cachedTokens: 0 } });
  });

  it.each(['not JSON', '5', '[]', '{"type":"attempt.end","attemptId":5}', '{"type":"attempt.fail"}'])(
    'ends every attempt when it does not say whose it is: %s',
    async (text) => {
      const { say, attempt } = await connect();
      const { frames } = attempt('a');
      say(text);
      expect(await lastFrame(frames)).toMatchObject({ kind: 'failed', code: 'engine_error' });
    },
  );

  it('is dropped when its type belongs to a newer agent', () => {
    expect(readAgentMessage('{"type":"node.dream"}')).toEqual({ kind: 'unknown', type: 'node.dream' });
  });
});

describe('a snapshot that does not fit', () => {
  it('costs the odd model alone, which is named', async () => {
    const { say, heard } = await connect();
    say({ type: 'node.status', snapshot: withModel({ slots: -1 }) });
    await expect.poll(() => heard.snapshots).toHaveLength(1);
    expect(heard.snapshots[0]?.models.map(({ id }) => id)).toEqual(['good:1b', 'other:1b']);
    expect(heard.snapshots[0]?.troubles).toEqual([expect.stringContaining('models.1 ("odd:1b").slots')]);
  });

  it('keeps a model whose context is 0, as not known', async () => {
    const { say, heard } = await connect();
    say({ type: 'node.status', snapshot: withModel({ contextLength: 0 }) });
    await expect.poll(() => heard.snapshots).toHaveLength(1);
    expect(heard.snapshots[0]?.models[1]).toMatchObject({ id: 'odd:1b', contextLength: null });
  });

  it('marks the node when nothing of it can be used', async () => {
    const { say, heard } = await connect();
    say({ type: 'node.status', snapshot: { ...SNAPSHOT, memory: 5 } });
    await expect.poll(() => heard.problems).toEqual([expect.stringContaining('snapshot.memory')]);
  });

  it('never hides a neighbour, whatever value stands wherever in one model', () => {
    const fields = Object.keys(SNAPSHOT.models[0] ?? {});
    fc.assert(
      fc.property(
        fc.constantFrom(...fields),
        fc.oneof(fc.constantFrom(...ODD), fc.jsonValue({ maxDepth: 2 })),
        (field, value) => {
          const text = JSON.stringify({ type: 'node.status', snapshot: withModel({ [field]: value }) });
          const reading = readAgentMessage(text);
          if (reading.kind !== 'read' || reading.message.type !== 'node.status') throw new Error('the snapshot was lost');
          const ids = reading.message.snapshot.models.map(({ id }) => id);
          expect(ids).toEqual(expect.arrayContaining(['good:1b', 'other:1b']));
        },
      ),
    );
  });
});

describe('heldAsUnreadable', () => {
  const told = { name: 'attic', problem: 'memory: invalid', nowMs: 9 };

  it('holds what was known last, once', () => {
    const held = heldAsUnreadable(heldAsUnreadable(SNAPSHOT, told), { ...told, nowMs: 20 });
    expect(held.models).toEqual(SNAPSHOT.models);
    expect(held.holds).toEqual([expect.objectContaining({ kind: 'unreadable', sinceMs: 9 })]);
    expect(held.holds[0]?.cause).toContain('memory: invalid');
  });

  it('shows a node that was never understood, held', () => {
    expect(heldAsUnreadable(null, told)).toMatchObject({ name: 'attic', models: [], holds: [{ kind: 'unreadable' }] });
  });
});

const withModel = (facts: object) => ({
  ...SNAPSHOT,
  models: SNAPSHOT.models.map((model, index) => (index === 1 ? { ...model, ...facts } : model)),
});
