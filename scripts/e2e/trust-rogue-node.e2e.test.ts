import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeData } from '../../shared/src/protocol/codec.ts';
import { Fleet } from './fleet.ts';
import { enrollRaw, RawAgent } from './raw-agent.ts';

type Start = { readonly attemptId: string; readonly stream: number };
type Answer = (start: Start, agent: RawAgent) => void;

const model = (id: string, change: Record<string, unknown> = {}) => ({
  ...{ id, runtime: 'ollama', state: 'warm', capabilities: ['chat'], contextLength: 8_192, sizeBytes: 1e9, vramBytes: 1e9 },
  ...{ slots: 4, inFlight: 0, isPinned: false, expiresAtMs: null, failure: null },
  ...change,
});
const event = (content: string) =>
  new TextEncoder().encode(
    `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { role: 'assistant', content }, finish_reason: null }] })}\n\n`,
  );

const honest: Answer = ({ attemptId, stream }, agent) => {
  agent.say({ type: 'attempt.accept', attemptId });
  agent.socket.send(encodeData('content', stream, event('good')) as Uint8Array<ArrayBuffer>);
  agent.say({ type: 'attempt.end', attemptId, finishReason: 'stop', usage: null, timings: null });
};
const silent: Answer = ({ attemptId }, agent) => agent.say({ type: 'attempt.accept', attemptId });
const empty: Answer = ({ attemptId }, agent) => {
  agent.say({ type: 'attempt.accept', attemptId });
  agent.say({ type: 'attempt.end', attemptId, finishReason: 'stop', usage: null, timings: null });
};
/** Sends 900 KiB events for as long as its socket is open, whatever the coordinator says. */
const endless: Answer = ({ attemptId, stream }, agent) => {
  agent.say({ type: 'attempt.accept', attemptId });
  const frame = encodeData('content', stream, event('y'.repeat(900 * 1024))) as Uint8Array<ArrayBuffer>;
  const send = () => {
    if (agent.socket.readyState !== WebSocket.OPEN) return;
    if (agent.socket.bufferedAmount < 16 * 1024 * 1024) agent.socket.send(frame);
    setImmediate(send);
  };
  send();
};

/** An approved node may be compromised: it may fail the requests that it got, and nobody else's. */
describe('an approved node that breaks the rules', () => {
  let fleet: Fleet;
  let sequence = 0;

  beforeAll(async () => {
    const env = { NODE_OPTIONS: '--max-semi-space-size=4 --max-old-space-size=512' };
    fleet = await Fleet.start({ nodes: [], env });
  });
  afterAll(() => fleet?.stop());

  const join = async (name: string, models: unknown[], answer: Answer, change: Record<string, unknown> = {}) => {
    const response = await fetch(`${fleet.url}/api/v1/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: '{}',
    });
    const { token } = (await response.json()) as { token: string };
    const identity = await enrollRaw(fleet.url, token, name);
    const come = async () => {
      const agent = new RawAgent(fleet.url);
      const asked = { count: 0 };
      const report = (more: Record<string, unknown> = {}) => {
        sequence += 1;
        agent.say({ type: 'node.status', snapshot: { ...snapshot(name, models), sequence, ...change, ...more } });
      };
      agent.socket.addEventListener('message', ({ data }) => {
        if (typeof data !== 'string') return;
        const message = JSON.parse(data);
        if (message.type !== 'attempt.start') return;
        asked.count += 1;
        answer(message, agent);
      });
      expect(await agent.greet(identity)).toMatchObject({ type: 'node.welcome' });
      report();
      await fleet.until(`${name} is there`, ({ nodes }) =>
        nodes.some(({ liveness, snapshot }) => liveness === 'alive' && snapshot?.name === name),
      );
      return { agent, asked, report };
    };
    return { come, ...(await come()) };
  };

  const snapshot = (name: string, models: unknown[]) => ({
    ...{ name, takenAtMs: 1, agentVersion: '0.1.0', os: { platform: 'linux', release: 'x', arch: 'x64' } },
    runtimes: [{ kind: 'ollama', version: '1', state: 'ready', mode: 'adopted', isSimulated: false, detail: null }],
    ...{ gpus: [], memory: { totalBytes: 16e9, freeBytes: 8e9 }, modelDiskFreeBytes: null, models, holds: [] },
    ...{ maxConcurrent: 16, inFlight: 0 },
  });

  const ask = async (id: string, headers: Record<string, string> = {}) => {
    const content = `question ${Math.random()}`;
    const response = await fleet.chat({ model: id, messages: [{ role: 'user', content }] }, { headers });
    return { status: response.status, body: (await response.json()) as { choices?: unknown[]; error?: { code: string } } };
  };
  const rssMiB = () =>
    Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${fleet.coordinator.pid}/status`, 'utf8'))?.[1]) / 1024;
  const holdOn = async (name: string) =>
    (await fleet.status()).nodes.find(({ snapshot }) => snapshot?.name === name)?.snapshot?.holds[0];

  it('never makes an answer of an ending without content', async () => {
    const good = await join('good-1', [model('empty:1b')], honest);
    const bad = await join('bad-1', [model('empty:1b', { slots: 1e9 })], empty, { maxConcurrent: 1e9 });
    const answers = await Promise.all(Array.from({ length: 24 }, () => ask('empty:1b')));
    expect(answers.map(({ status, body }) => [status, body.choices?.length])).toEqual(answers.map(() => [200, 1]));
    const slots = (await fleet.status()).nodes.map((node) => node.snapshot?.models[0]?.slots);
    expect(Math.max(...slots.map((count) => count ?? 0))).toBeLessThanOrEqual(256);
    good.agent.socket.close();
    bad.agent.socket.close();
  });

  it('gets no more requests after it was silent twice, and another node serves', async () => {
    const good = await join('good-2', [model('silent:1b')], honest);
    const bad = await join('bad-2', [model('silent:1b')], silent);
    const round = () => Promise.all(Array.from({ length: 8 }, () => ask('silent:1b', { 'x-lai-timeout': '4' })));
    // More at once than the honest node has slots.
    for (const _ of [1, 2]) await round();
    expect(bad.asked.count).toBeGreaterThan(0);
    const before = bad.asked.count;
    const after = await round();
    expect(after.map(({ status }) => status)).toEqual(after.map(() => 200));
    expect(bad.asked.count).toBe(before);
    good.agent.socket.close();
    bad.agent.socket.close();
  });

  it.each([
    ['a client that collects', true],
    ['a client that does not read', false],
  ])('cannot fill the memory with an endless answer to %s', async (_, isCollected) => {
    const id = isCollected ? 'endless-collected:1b' : 'endless-unread:1b';
    const name = isCollected ? 'bad-3' : 'bad-4';
    const good = await join(`good-${name}`, [model('other:1b')], honest);
    const bad = await join(name, [model(id)], endless);
    const body = JSON.stringify({ model: id, stream: true, messages: [{ role: 'user', content: name }] });
    const client = isCollected ? null : connect(Number(new URL(fleet.url).port), '127.0.0.1');
    client?.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${fleet.key}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    client?.pause();
    const flooded = isCollected ? ask(id, { 'x-lai-timeout': '20' }) : null;
    while (bad.agent.socket.readyState === WebSocket.OPEN && bad.asked.count === 0)
      await new Promise((resolve) => setImmediate(resolve));
    for (let served = 0; served < 5; served += 1) expect((await ask('other:1b')).status).toBe(200);
    if (flooded) expect((await flooded).status).toBeGreaterThanOrEqual(500);
    // Who goes on sending after that is closed, and shown with the reason.
    expect((await bad.agent.closed).code).toBe(1_008);
    client?.destroy();
    expect(rssMiB()).toBeLessThan(450);
    await bad.come();
    expect(await holdOn(name)).toMatchObject({ kind: 'distrusted', cause: expect.stringContaining('this node sent') });
    expect(await fleet.lai('status')).toContain('held: distrusted');
    good.agent.socket.close();
  });

  it('reports names that no terminal acts on, or that model is left out', async () => {
    const evil = ['esc\u001b]0;OWNED\u0007', 'bad\r\nx: y', '\ud800', '\u202egnp'];
    const bad = await join('bad-5', [...evil.map((id) => model(id)), model('plain:1b')], honest, {
      holds: [{ kind: 'gaming', cause: 'steam\u001b]8;;http://evil\u0007', sinceMs: 1, untilMs: null }],
    });
    const shown = (await fleet.status()).nodes.find(({ snapshot }) => snapshot?.name === 'bad-5')?.snapshot;
    expect(shown?.models.map(({ id }) => id)).toEqual(['plain:1b']);
    expect(shown?.troubles?.join()).toContain('models left out');
    bad.agent.socket.close();
  });

  it('is slowed down when it floods with large snapshots, and others are served without a pause', async () => {
    const good = await join('good-6', [model('calm:1b')], honest);
    const many = Array.from({ length: 2_500 }, (_, at) => model(`m${at}`));
    const bad = await join('bad-6', many, honest);
    const flood = setInterval(() => {
      if (bad.agent.socket.bufferedAmount < 8 * 1024 * 1024) bad.report();
    }, 5);
    const times: number[] = [];
    for (let at = 0; at < 20; at += 1) {
      const startedAt = performance.now();
      expect((await ask('calm:1b')).status).toBe(200);
      times.push(performance.now() - startedAt);
    }
    clearInterval(flood);
    console.log(`beside a flood of snapshots: slowest answer ${Math.max(...times).toFixed(0)} ms`);
    good.agent.socket.close();
    bad.agent.socket.close();
  });
});
