import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedKey, KeyView } from '../../shared/src/admin-api.ts';
import { Fleet } from './fleet.ts';
import { Program } from './program.ts';
import { readStream } from './stream.ts';

const LAI = join(import.meta.dirname, '..', '..', 'coordinator', 'dist', 'lai.js');
const SMALL = 'small:1b';
const BIG = 'big:1b';

describe('an API key', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [
        {
          name: 'attic',
          models: `${SMALL}=0.1GB,slots=2,tps=40,caps=chat; ${BIG}=0.1GB,slots=2,tps=40,caps=chat`,
          tuning: { prefillMs: 5, coldLoadMsPerGb: 0 },
        },
      ],
    });
  });
  afterAll(() => fleet?.stop());

  const lai = (...args: string[]): Promise<string> => new Program('lai', [LAI, ...args], fleet.env).output();
  const create = async (...args: string[]): Promise<IssuedKey> =>
    JSON.parse(await lai('keys', 'create', ...args, '--json')) as IssuedKey;
  const view = async (id: string): Promise<KeyView | undefined> =>
    (JSON.parse(await lai('keys', 'list', '--json')) as KeyView[]).find((key) => key.id === id);
  const ask = async (key: string, options: { path?: string; body?: unknown; method?: string } = {}) => {
    const { path = '/v1/models', body, method = body === undefined ? 'GET' : 'POST' } = options;
    const response = await fetch(`${fleet.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text };
  };
  const chat = (model: string) => ({ model, max_tokens: 4, messages: [{ role: 'user', content: 'Hi.' }] });

  it('for certain models reaches and sees these and no others, on every surface', async () => {
    const { key } = await create('guest', '--models', 'small*');
    expect((await ask(key, { path: '/v1/chat/completions', body: chat(SMALL) })).status).toBe(200);
    const refused: [string, unknown][] = [
      ['/v1/chat/completions', chat(BIG)],
      ['/v1/messages', chat(BIG)],
      ['/v1/responses', { model: BIG, input: 'Hi.' }],
      ['/v1/completions', { model: BIG, prompt: 'Hi.' }],
      ['/v1/embeddings', { model: BIG, input: 'Hi.' }],
      ['/v1/jobs', chat(BIG)],
      ['/api/chat', chat(BIG)],
      ['/api/generate', { model: BIG, prompt: 'Hi.' }],
      ['/api/show', { model: BIG }],
    ];
    for (const [path, body] of refused) {
      const { status, text } = await ask(key, { path, body });
      expect({ path, status }, text).toEqual({ path, status: 403 });
    }
    // `auto` means one of the key's own models.
    for (const body of [chat('auto'), { max_tokens: 4, messages: chat(BIG).messages }]) {
      const { status, text } = await ask(key, { path: '/v1/chat/completions', body });
      expect({ status, isSmall: text.includes(SMALL) }, text).toEqual({ status: 200, isSmall: true });
    }
    for (const path of ['/v1/models', '/api/tags', '/api/ps']) expect((await ask(key, { path })).text).not.toContain(BIG);
    expect((await ask(key, { path: '/v1/models' })).text).toContain(SMALL);
    expect((await ask(key, { path: `/v1/models/${BIG}` })).status).toBe(404);
  });

  it('works as a piece of the path, for programs that know no header', async () => {
    const { key } = await create('cli');
    const response = await fetch(`${fleet.url}/k/${key}/v1/models`);
    expect(response.status).toBe(200);
    expect((await fetch(`${fleet.url}/k/${key.slice(0, -1)}/v1/models`)).status).toBe(401);
    expect((await fetch(`${fleet.url}/k//v1/models`)).status).toBe(401);
    expect(fleet.coordinator.text).not.toContain(key);
  });

  it('is rotated with a grace, in which both secrets are the same key', async () => {
    const { key, view: made } = await create('rotating');
    const next = (await lai('keys', 'rotate', made.id, '--grace', '1h')).split('\n')[0] ?? '';
    for (const secret of [key, next]) expect((await ask(secret)).status).toBe(200);
    const last = (await lai('keys', 'rotate', made.id)).split('\n')[0] ?? '';
    expect((await ask(last)).status).toBe(200);
    for (const secret of [key, next]) expect((await ask(secret)).status).toBe(401);
    expect(await view(made.id)).toMatchObject({ state: 'valid', prefix: last.slice(0, 8) });
  });

  it('stops at once when it is disabled, streams included, and works again when it is enabled', async () => {
    const { key, view: made } = await create('pausing');
    const stream = readStream(
      await fleet.chat({ ...chat(SMALL), stream: true, max_tokens: 1_000 }, { headers: { authorization: `Bearer ${key}` } }),
    );
    await lai('keys', 'change', made.id, '--disable');
    expect((await stream).errors.map(({ code }) => code)).toEqual(['invalid_api_key']);
    expect((await ask(key)).status).toBe(401);
    await lai('keys', 'change', made.id, '--enable');
    expect((await ask(key)).status).toBe(200);
  });

  it('of an operator manages, and one without the scope does not', async () => {
    const { key: reader } = await create('reader', '--read-only');
    expect((await ask(reader, { path: '/api/v1/status' })).status).toBe(200);
    expect((await ask(reader, { path: '/v1/chat/completions', body: chat(SMALL) })).status).toBe(403);
    expect((await ask(reader, { path: '/api/v1/keys', body: { name: 'mine', scopes: ['admin'] } })).status).toBe(403);
    expect((await ask(fleet.key, { path: '/api/v1/keys', body: { name: 'x'.repeat(65) } })).status).toBe(400);
    expect((await ask(fleet.key, { path: '/api/v1/keys', body: { name: '<script>' } })).status).toBe(400);
    expect((await ask(fleet.key, { path: '/api/v1/keys/nobody', method: 'DELETE' })).status).toBe(404);
  });
});
