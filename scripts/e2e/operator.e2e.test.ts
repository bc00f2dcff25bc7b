import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { readStream } from './stream.ts';

const MODEL = 'story:1b';

describe('what operators want of nodes', () => {
  let here: Fleet;
  /** Another coordinator, which holds the sockets of other nodes. */
  let there: Fleet;

  beforeAll(async () => {
    const node = (name: string) => ({
      name,
      models: `${MODEL}=0.1GB,slots=2,tps=200,caps=chat; of-${name}=0.1GB,slots=2,tps=200,caps=chat`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 100 },
      agentEnv: { LAI_LOCAL_PORT: '0' },
    });
    here = await Fleet.start({ nodes: [node('left')] });
    there = await Fleet.startReplica(here, { nodes: [node('right')] });
    await here.until('both nodes', ({ nodes }) => nodes.filter(({ liveness }) => liveness === 'alive').length === 2);
  });
  afterAll(async () => {
    await there?.stop();
    await here?.stop();
  });

  const model = (node: string, id: string) => (status: Awaited<ReturnType<Fleet['status']>>) =>
    status.nodes.find(({ snapshot }) => snapshot?.name === node)?.snapshot?.models.find((one) => one.id === id);
  const isAlive = (node: string) => (status: Awaited<ReturnType<Fleet['status']>>) =>
    status.nodes.find(({ snapshot }) => snapshot?.name === node)?.liveness === 'alive';
  const holds = (node: string) => (status: Awaited<ReturnType<Fleet['status']>>) =>
    status.nodes.find(({ snapshot }) => snapshot?.name === node)?.snapshot?.holds.map(({ kind }) => kind) ?? [];
  const ask = async (fleet: Fleet, wanted: string) =>
    readStream(await fleet.chat({ model: wanted, stream: true, max_tokens: 5, messages: [{ role: 'user', content: 'Go on.' }] }));

  it.each(['left', 'right'])('loads and unloads a model on %s, whoever holds its socket', async (node) => {
    const id = `of-${node}`;
    expect(await here.lai('models', 'load', id)).toContain(`${id}: done on ${node}`);
    await here.until('warm', (status) => model(node, id)(status)?.state === 'warm');
    expect(await here.lai('models', 'list')).toMatch(new RegExp(`${id} +${node} +warm`));
    expect(await here.lai('models', 'unload', id)).toContain('done');
    await here.until('cold', (status) => model(node, id)(status)?.state === 'cold');
  });

  it('asks which node is meant, and says what went wrong in words', async () => {
    await expect(here.lai('models', 'load', MODEL)).rejects.toThrow(/Which node\? Choose with --node: (left, right|right, left)/);
    await expect(here.lai('models', 'load', 'nowhere:1b')).rejects.toThrow('No node has the model nowhere:1b');
    await expect(here.lai('models', 'load', MODEL, '--node', 'middle')).rejects.toThrow('No node middle is connected');
    await expect(here.lai('pull', 'new:1b', '--node', 'right')).rejects.toThrow(/right: /);
  });

  it.each(['left', 'right'])('drains %s: it gets no more work until it is told otherwise', async (node) => {
    await here.lai('nodes', 'drain', node);
    await here.until('drained', (status) => holds(node)(status).includes('draining'));
    expect((await ask(here, MODEL)).content).not.toContain(`[simulated on ${node}]`);
    expect(await here.lai('nodes', 'list')).toMatch(new RegExp(`${node} .*drain`));
    await here.lai('nodes', 'drain', node, '--off');
    await here.until('back', (status) => holds(node)(status).length === 0);
  });

  it('sets gaming mode for a while, and the wish outlives a restart of the agent', async () => {
    await here.lai('gaming', 'left', 'on', '--for', '2h');
    await here.until('held', (status) => holds('left')(status).includes('gaming'));
    const { agent } = here.node('left');
    agent.kill('SIGKILL');
    await agent.exited;
    await here.until('missed', (status) => !isAlive('left')(status));
    await here.restartAgent('left');
    // Of the node that has connected anew, not of the one that is remembered.
    await here.until('held again', (status) => isAlive('left')(status) && holds('left')(status).includes('gaming'));
    await here.lai('gaming', 'left', 'auto');
    await here.until('free', (status) => holds('left')(status).length === 0);
    await expect(here.lai('gaming', 'left', 'perhaps')).rejects.toThrow('There is no gaming mode "perhaps": on, off or auto.');
  });

  it('pins a model, and lets it go', async () => {
    expect(await here.lai('models', 'pin', 'of-right')).toContain('pinned on right: of-right');
    const pinned = (status: Awaited<ReturnType<Fleet['status']>>) => model('right', 'of-right')(status);
    await here.until('pinned and loaded', (status) => pinned(status)?.isPinned === true && pinned(status)?.state === 'warm');
    await here.lai('models', 'unpin', 'of-right');
    await here.until('not pinned', (status) => pinned(status)?.isPinned === false);
    await here.lai('models', 'unload', 'of-right');
    await here.until('cold', (status) => pinned(status)?.state === 'cold');
  });

  it('stops a load that was begun, from the other coordinator', async () => {
    const nodeId = (await here.status()).nodes.find(({ snapshot }) => snapshot?.name === 'right')?.nodeId ?? '';
    await there.node('right').control('set', { coldLoadMsPerGb: 600_000 });
    const headers = { authorization: `Bearer ${here.key}`, 'content-type': 'application/json' };
    const path = `/api/v1/nodes/${nodeId}/commands`;
    const response = await fetch(`${here.url}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ type: 'model.load', model: 'of-right' }),
    });
    const lines: { kind: string; commandId?: string; code?: string }[] = [];
    for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      for (const line of text.split('\n').filter((part) => part !== '')) lines.push(JSON.parse(line));
      const commandId = lines[0]?.commandId;
      if (commandId && lines.length === 1)
        expect((await fetch(`${there.url}${path}/${commandId}`, { method: 'DELETE', headers })).status).toBe(204);
    }
    expect(lines.at(-1)).toMatchObject({ kind: 'failed', code: 'canceled' });
    await there.node('right').control('set', { coldLoadMsPerGb: 100 });
  });

  it('is written into the audit log', async () => {
    const log = await here.lai('audit');
    for (const action of ['model.load', 'model.unload', 'model.pull', 'model.cancel', 'node.change'])
      expect(log).toContain(action);
  });
});
