import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { Program } from './program.ts';

const MOCK_ENGINE = join(import.meta.dirname, '..', '..', 'agent', 'dist', 'lai-mock-engine.js');

/** Models of the fleet, managed through Ollama's API: what `ollama pull`, `stop` and `rm` do. */
describe("models over Ollama's API", () => {
  let engine: Program;
  let fleet: Fleet;
  let plainKey: string;

  beforeAll(async () => {
    const models = 'here=0.1GB,caps=chat+completion;fresh:1b=0.03GB,remote,caps=chat+completion';
    engine = new Program('ollama', [
      MOCK_ENGINE,
      ...['--dialect', 'ollama', '--name', 'house', '--vram-gb', '8', '--models', models],
      ...['--tuning', JSON.stringify({ pullBytesPerSecond: 15_000_000, coldLoadMsPerGb: 0 })],
    ]);
    const url = (JSON.parse(await engine.until(/^\{"listening"/)) as { listening: string }).listening;
    fleet = await Fleet.start({
      nodes: [{ name: 'house', models: '', agentArgs: ['--runtime', 'ollama', '--ollama-mode', 'adopt', '--ollama-url', url] }],
    });
    const issued = await fetch(`${fleet.url}/api/v1/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'somebody', scopes: ['inference'] }),
    });
    plainKey = ((await issued.json()) as { key: string }).key;
  });
  afterAll(async () => {
    await fleet?.stop();
    engine?.kill('SIGKILL');
    await engine?.exited;
  });

  const ask = (path: string, body: Record<string, unknown>, { method = 'POST', key = fleet.key } = {}) =>
    fetch(`${fleet.url}${path}`, { method, headers: { authorization: `Bearer ${key}` }, body: JSON.stringify(body) });
  const lines = async (path: string, body: Record<string, unknown>) =>
    (await (await ask(path, body)).text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const stateOf = (id: string) => async () =>
    (await fleet.status()).nodes.flatMap(({ snapshot }) => snapshot?.models ?? []).find((model) => model.id === id)?.state;

  it('says at once that a model is there which a node has, to everybody', async () => {
    const response = await ask('/api/pull', { model: 'here', stream: false }, { key: plainKey });
    expect(await response.json()).toEqual({ status: 'success' });
  });

  it('brings in nothing for those who only may ask', async () => {
    const response = await ask('/api/pull', { model: 'fresh:1b' }, { key: plainKey });
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({ error: expect.stringContaining('admin') });
  });

  it('pulls with progress, and then the model answers', async () => {
    const told = await lines('/api/pull', { model: 'fresh:1b' });
    expect(told[0]).toEqual({ status: 'pulling fresh:1b to house' });
    expect(told.at(-1)).toEqual({ status: 'success' });
    expect(told.some(({ total, completed }) => total === 30_000_000 && Number(completed) > 0)).toBe(true);
    await fleet.until('the model is listed', (status) =>
      status.nodes.some(({ snapshot }) => snapshot?.models.some(({ id }) => id === 'fresh:1b')),
    );
    const answer = await ask('/api/generate', { model: 'fresh:1b', prompt: 'x', stream: false, options: { num_predict: 3 } });
    expect(await answer.json()).toMatchObject({ done: true, eval_count: 3 });
  });

  it('unloads on wish, and says so', async () => {
    await fleet.until('warm', (status) =>
      status.nodes.some(({ snapshot }) => snapshot?.models.some(({ id, state }) => id === 'fresh:1b' && state === 'warm')),
    );
    expect((await ask('/api/generate', { model: 'fresh:1b', keep_alive: 0 }, { key: plainKey })).status).toBe(403);
    const response = await ask('/api/generate', { model: 'fresh:1b', keep_alive: 0 });
    expect(await response.json()).toMatchObject({ done: true, done_reason: 'unload' });
    await expect.poll(stateOf('fresh:1b'), { timeout: 10_000 }).toBe('cold');
  });

  it('deletes from every node that has it', async () => {
    expect((await ask('/api/delete', { model: 'fresh:1b' }, { method: 'DELETE', key: plainKey })).status).toBe(403);
    expect((await ask('/api/delete', { model: 'fresh:1b' }, { method: 'DELETE' })).status).toBe(200);
    await expect.poll(stateOf('fresh:1b'), { timeout: 10_000 }).toBeUndefined();
    expect((await ask('/api/delete', { model: 'fresh:1b' }, { method: 'DELETE' })).status).toBe(404);
  });

  it('tells why a pull failed', async () => {
    expect((await lines('/api/pull', { model: 'nowhere:1b' })).at(-1)).toEqual({ error: expect.stringContaining('house: ') });
    expect((await ask('/api/pull', { model: '../etc/passwd' })).status).toBe(400);
  });
});
