import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MockEngine } from './mock-engine.ts';
import { call, payloads, quickEngine, until } from './rig.ts';

let mock: MockEngine;
beforeEach(async () => {
  mock = await quickEngine({
    dialect: 'ollama',
    models: 'here=0.1GB;127.0.0.1:5000/library/demo:latest=0.03GB,remote',
    tuning: { pullBytesPerSecond: 100_000_000 },
  });
});
afterEach(() => mock.close());

const DEMO = '127.0.0.1:5000/library/demo';
const linesOf = (body: string) => payloads(body).map((line) => JSON.parse(line));
const pull = (model: string, more: object = {}, options: Parameters<typeof call>[2] = {}) =>
  call(`${mock.url}/api/pull`, { model, ...more }, options);

describe('a pull', () => {
  it('tells its progress until success, and then the model is there', async () => {
    expect((await call(`${mock.url}/api/tags`)).body).not.toContain(DEMO);
    const { headers, body } = await pull(DEMO);
    expect(headers['content-type']).toBe('application/x-ndjson');
    const lines = linesOf(body);
    const layers = lines.filter(({ digest }) => digest);
    expect(
      lines.map(({ status }) => status).filter((status) => !status.startsWith('pulling ') || status === 'pulling manifest'),
    ).toEqual(['pulling manifest', 'verifying sha256 digest', 'writing manifest', 'success']);
    expect(layers.map(({ completed }) => completed)).toEqual([6_000_000, 12_000_000, 18_000_000, 24_000_000, 30_000_000]);
    expect(layers[0]).toMatchObject({ total: 30_000_000, status: `pulling ${layers[0].digest.slice(7, 19)}` });
    expect((await call(`${mock.url}/api/tags`)).body).toContain(DEMO);
  });

  it('of something that is there already is over at once', async () => {
    const lines = linesOf((await pull('here')).body);
    expect(lines.map(({ completed, total }) => completed === total)).toEqual([true, true, true, true, true, true]);
    expect(lines.at(-1)).toEqual({ status: 'success' });
  });

  it('stops when nobody waits for it, and the next one goes on from there', async () => {
    const stop = new AbortController();
    await pull(DEMO, {}, { signal: stop.signal, onChunk: (text) => text.includes('"completed":12000000') && stop.abort() });
    const lines = linesOf((await pull(DEMO)).body);
    expect(lines.find(({ digest }) => digest).completed).toBeGreaterThanOrEqual(18_000_000);
    expect(lines.at(-1)).toEqual({ status: 'success' });
  });

  it('of an unknown model fails under 200 when streamed, with 500 when not', async () => {
    const streamed = await pull('nope');
    expect(streamed.status).toBe(200);
    expect(linesOf(streamed.body)).toEqual([
      { status: 'pulling manifest' },
      { error: 'pull model manifest: file does not exist' },
    ]);
    expect((await pull('nope', { stream: false })).status).toBe(500);
    expect(JSON.parse((await pull('here', { stream: false })).body)).toEqual({ status: 'success' });
  });

  it.each([
    ['pull-error', /EOF$/],
    ['disk-full', /no space left on device$/],
  ] as const)('breaks off in the middle: %s', async (kind, words) => {
    mock.engine.faults.arm({ kind, afterTokens: 2 });
    const lines = linesOf((await pull(DEMO)).body);
    expect(lines.filter(({ digest }) => digest)).toHaveLength(2);
    expect(lines.at(-1).error).toMatch(words);
  });

  it('and a delete: it is gone, and no longer loaded', async () => {
    await call(`${mock.url}/api/generate`, { model: 'here' });
    expect((await call(`${mock.url}/api/delete`, { model: 'here' }, { method: 'DELETE' })).status).toBe(200);
    await until('it is unloaded', async () => (await call(`${mock.url}/api/ps`)).body === '{"models":[]}');
    expect((await call(`${mock.url}/api/chat`, { model: 'here', messages: [] })).status).toBe(404);
  });
});

describe('names', () => {
  it.each([
    ['here', 200],
    ['here:latest', 200],
    ['HERE', 200],
    ['here:3b', 404],
    ['library/here', 404],
  ])('%s is answered with %i', async (model, status) => {
    expect((await call(`${mock.url}/api/show`, { model })).status).toBe(status);
  });
});
