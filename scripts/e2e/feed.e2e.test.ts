import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FleetNode, ModelMatrix, NodeDetail } from '../../shared/src/fleet-api.ts';
import { Fleet } from './fleet.ts';
import { Watcher } from './watcher.ts';

const MODEL = 'story:1b';
/** A right that is lost ends what it opened within this time. */
const LIMIT_MS = 1_000;

describe('the feed', () => {
  let here: Fleet;
  let there: Fleet;
  const watchers: Watcher[] = [];

  beforeAll(async () => {
    const node = (name: string) => ({
      name,
      models: `${MODEL}=0.1GB,slots=2,tps=200,caps=chat; still:1b=0.1GB,caps=chat`,
      tuning: { prefillMs: 5, coldLoadMsPerGb: 100 },
      agentEnv: { LAI_LOCAL_PORT: '0' },
    });
    here = await Fleet.start({ nodes: [node('left')] });
    there = await Fleet.startReplica(here, { nodes: [node('right')] });
    await here.until('both nodes', ({ nodes }) => nodes.filter(({ liveness }) => liveness === 'alive').length === 2);
  });
  afterAll(async () => {
    for (const watcher of watchers) watcher.close();
    await there?.stop();
    await here?.stop();
  });

  const watch = async (fleet: Fleet, headers?: Record<string, string>) => {
    const watcher = await Watcher.open(fleet.url, headers ?? { authorization: `Bearer ${fleet.key}` });
    watchers.push(watcher);
    return watcher;
  };
  const get = async <T>(path: string): Promise<T> =>
    (await (await fetch(`${here.url}${path}`, { headers: { authorization: `Bearer ${here.key}` } })).json()) as T;
  const isAlive = (node: FleetNode | undefined) => node?.liveness === 'alive' && node.report !== null;

  it('tells everything first, then what operators want beside what the machine does', async () => {
    const watcher = await watch(here);
    await watcher.until('the level', ({ names }) => names.includes('fleet'));
    expect(watcher.names.slice(0, 2)).toEqual(['hello', 'fleet']);
    expect(watcher.node('left')).toMatchObject({ liveness: 'alive', lastSeenMs: null, report: { coldCount: 2, models: [] } });
    expect(watcher.node('left')?.entry.tokenId).toMatch(/^[0-9a-f]{12}$/);
    await here.lai('gaming', 'left', 'on', '--for', '2h');
    await watcher.until('wanted', (w) => w.node('left')?.entry.desired.gaming?.mode === 'on');
    await watcher.until('and done', (w) => w.node('left')?.report?.gaming?.isActive === true);
    expect(watcher.node('left')?.report?.gaming).toMatchObject({ setBy: 'operator', obeysOperator: true });
    await here.lai('gaming', 'left', 'auto');
    await watcher.until('over', (w) => w.node('left')?.report?.gaming?.isActive === false);
  });

  it('tells at one replica what happens at another, and who can be canceled from anywhere', async () => {
    const watcher = await watch(here);
    await watcher.until('both', (w) => isAlive(w.node('left')) && isAlive(w.node('right')));
    await there.node('right').control('set', { coldLoadMsPerGb: 200_000 });
    const loading = there.lai('models', 'load', MODEL, '--node', 'right').catch((error: unknown) => String(error));
    await watcher.until('it loads', (w) => w.commands.size === 1 && w.node('right')?.report?.models[0]?.state === 'loading');
    const [command] = [...watcher.commands.values()];
    // Somebody who comes later sees it too, and can stop it.
    const late = await watch(here);
    await late.until('the level', ({ names }) => names.includes('fleet'));
    expect(late.commands.get(command?.commandId ?? '')).toMatchObject({ state: 'running', model: MODEL, type: 'model.load' });
    await fetch(`${here.url}/api/v1/nodes/${command?.nodeId}/commands/${command?.commandId}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${here.key}` },
    });
    await late.until('canceled', (w) => w.commands.get(command?.commandId ?? '')?.state === 'canceled');
    expect(await loading).toContain('canceled');
    await there.node('right').control('set', { coldLoadMsPerGb: 100 });
    await late.until('cold again', (w) => w.node('right')?.report?.models.length === 0);
    late.close();
    const listed = await get<{ commandId: string }[]>(`/api/v1/commands?node=${command?.nodeId}`);
    expect(listed.map(({ commandId }) => commandId)).toContain(command?.commandId);
  });

  it('says that a machine is away and since when, and that it is back', async () => {
    const watcher = await watch(here);
    await watcher.until('both', (w) => isAlive(w.node('right')));
    const before = Date.now();
    const { agent } = there.node('right');
    agent.kill('SIGKILL');
    await watcher.until('away', (w) => w.node('right')?.liveness === 'offline');
    expect(watcher.node('right')?.lastSeenMs).toBeGreaterThanOrEqual(before);
    expect(watcher.node('right')?.report).not.toBeNull();
    await there.restartAgent('right');
    await watcher.until('back', (w) => isAlive(w.node('right')) && w.node('right')?.lastSeenMs === null);
  });

  it('shows one machine whole, and which machine has which model', async () => {
    const watcher = await watch(here);
    await watcher.until('both', (w) => isAlive(w.node('left')));
    const id = watcher.node('left')?.entry.id;
    const detail = await get<NodeDetail>(`/api/v1/nodes/${id}`);
    expect(detail.models.map((model) => model.id)).toContain(MODEL);
    expect(detail.speeds.find(({ model }) => model === MODEL)).toMatchObject({ model: MODEL });
    const matrix = await get<ModelMatrix>('/api/v1/models/matrix');
    const at = matrix.models.findIndex((model) => model.id === 'still:1b');
    expect(matrix.nodes.map(({ name, states }) => `${name} ${states[at]}`).sort()).toEqual(['left c', 'right c']);
    const missing = await fetch(`${here.url}/api/v1/nodes/nobody`, { headers: { authorization: `Bearer ${here.key}` } });
    expect(missing.status).toBe(404);
    watcher.close();
  });

  it('ends within a second when its session or its key ends, and says so', async () => {
    await fetch(`${here.url}/api/v1/users`, {
      method: 'POST',
      headers: { authorization: `Bearer ${here.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'wall', password: 'correct horse battery', role: 'viewer' }),
    });
    const headers = { 'content-type': 'application/json', origin: here.url, 'sec-fetch-site': 'same-origin' };
    const signedIn = await fetch(`${here.url}/api/v1/session`, {
      ...{ method: 'POST', headers },
      body: JSON.stringify({ name: 'wall', password: 'correct horse battery' }),
    });
    const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const [bySession, elsewhere] = [await watch(here, { cookie }), await watch(there, { cookie })];
    for (const watcher of [bySession, elsewhere]) await watcher.until('the level', ({ names }) => names.includes('fleet'));
    let endedAtMs = performance.now();
    await fetch(`${here.url}/api/v1/session`, { method: 'DELETE', headers: { ...headers, cookie } });
    expect(await Promise.all([bySession.ended, elsewhere.ended])).toEqual(['right_ended', 'right_ended']);
    expect(performance.now() - endedAtMs).toBeLessThan(LIMIT_MS);

    const issued = JSON.parse(await here.lai('keys', 'create', 'screen', '--read-only', '--json')) as {
      key: string;
      view: { id: string };
    };
    const byKey = await watch(here, { authorization: `Bearer ${issued.key}` });
    await byKey.until('the level', ({ names }) => names.includes('fleet'));
    endedAtMs = performance.now();
    await fetch(`${there.url}/api/v1/keys/${issued.view.id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${here.key}` },
    });
    expect(await byKey.ended).toBe('right_ended');
    expect(performance.now() - endedAtMs).toBeLessThan(LIMIT_MS);
  });

  it('is given to so many at once and no more', async () => {
    for (const watcher of watchers) watcher.close();
    await Promise.all(watchers.map(({ ended }) => ended));
    await expect
      .poll(() => watch(here).then((watcher) => watcher.until('level', ({ names }) => names.length > 1)))
      .toBeUndefined();
    for (let more = 0; more < 3; more += 1) await watch(here);
    await expect(watch(here)).rejects.toThrow('HTTP 429');
  });

  it('tells the level again after the coordinator was killed, with nothing stale in it', async () => {
    for (const watcher of watchers) watcher.close();
    here.coordinator.kill('SIGKILL');
    await here.coordinator.exited;
    here.node('left').agent.kill('SIGKILL');
    await here.restartCoordinator();
    const watcher = await watch(here);
    await watcher.until('the level', ({ names }) => names.includes('fleet'));
    await watcher.until('right is there', (w) => isAlive(w.node('right')));
    // What the killed one had written of it runs out.
    await watcher.until('left is not', (w) => !isAlive(w.node('left')), 30_000);
    expect([...watcher.nodes.values()].map(({ entry }) => entry.name).sort()).toEqual(['left', 'right']);
    await here.restartAgent('left');
    await watcher.until('left is there', (w) => isAlive(w.node('left')));
  });
});
