import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readProvidersFile, SERVED_TYPES } from '../configuration/providers-file.ts';
import { SERVED_KINDS } from './catalog.ts';
import { modelsIn } from './discovery.ts';
import { providersFrom } from './provider.ts';

const providerOf = (entry: string, env: NodeJS.ProcessEnv = {}) => {
  const reading = readProvidersFile('providers.yaml', `providers:\n  - ${entry}\n`, env);
  if (reading.kind === 'refused') throw new Error(reading.problems[0]?.what);
  const [provider] = providersFrom(reading.value, env);
  if (!provider) throw new Error('no provider');
  return provider;
};

describe('providersFrom', () => {
  it('knows every type that a file may name', () => {
    expect(Object.keys(SERVED_KINDS).sort()).toEqual([...SERVED_TYPES].sort());
  });

  it.each<[string, string, string]>([
    ['{ id: a, type: openai, authSecret: KEY }', 'https://api.openai.com/v1/chat/completions', 'authorization'],
    [
      '{ id: a, type: azure, endpoint: "https://r.openai.azure.com/openai/v1/", authSecret: KEY }',
      'https://r.openai.azure.com/openai/v1/chat/completions',
      'api-key',
    ],
    [
      '{ id: a, type: openwebui, endpoint: "http://10.0.0.2:3000", authSecret: KEY }',
      'http://10.0.0.2:3000/api/chat/completions',
      'authorization',
    ],
    [
      '{ id: a, type: openai-compatible, endpoint: "http://h:1/v1", authType: api_key, authHeader: X-Key, authSecret: KEY }',
      'http://h:1/v1/chat/completions',
      'x-key',
    ],
  ])('asks %s at its address, with its header', (entry, url, header) => {
    const provider = providerOf(entry, { KEY: 'k-1' });
    expect(provider.chatUrl.href).toBe(url);
    expect(provider.auth[header]).toMatch(/k-1$/);
    expect(provider.keyProblem).toBeNull();
  });

  it('takes a key from a file, and says which one is missing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'lai-key-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'key'), 'from-file\n');
    expect(providerOf(`{ id: a, type: openai, authSecret: "file:${folder}/key" }`).auth).toEqual({
      authorization: 'Bearer from-file',
    });
    expect(providerOf(`{ id: a, type: openai, authSecret: "file:${folder}/none" }`).keyProblem).toContain('cannot be read');
  });

  it('never falls back to another key of the environment', () => {
    const provider = providerOf('{ id: a, type: openai, authSecret: MY_KEY }', { OPENAI_API_KEY: 'somebody’s' });
    expect(provider.auth).toEqual({});
    expect(provider.keyProblem).toBe('no key: the environment variable MY_KEY is not set');
    expect(providerOf('{ id: a, type: openai }', { OPENAI_API_KEY: 'x' }).keyProblem).toContain('set authSecret of a');
  });

  it('needs no key where the operator says so, and none for an Ollama', () => {
    expect(providerOf('{ id: a, type: openai-compatible, endpoint: "http://h:1/v1", authType: null }').keyProblem).toBeNull();
    expect(providerOf('{ id: a, type: ollama }')).toMatchObject({ keyProblem: null, place: 'home' });
  });

  it('knows prices apart, and what is not known as null', () => {
    const text = `providers: [{ id: a, type: openai, authSecret: K }]
models:
  - { id: both, providerId: a, costPer1kTokens: 0.002 }
  - { id: apart, providerId: a, inputPer1kTokens: 0.001, outputPer1kTokens: 0.004 }
  - { id: unknown, providerId: A }
`;
    const reading = readProvidersFile('providers.yaml', text);
    if (reading.kind !== 'ok') throw new Error('refused');
    const models = providersFrom(reading.value, {})[0]?.models;
    expect(models?.map(({ inputPrice, outputPrice }) => [inputPrice, outputPrice])).toEqual([
      [2, 2],
      [1, 4],
      [null, null],
    ]);
  });
});

describe('modelsIn', () => {
  it.each<[string, string, string[]]>([
    ['OpenAI’s list', '{"object":"list","data":[{"id":"a"},{"id":"b"}]}', ['a', 'b']],
    ['a bare list', '[{"id":"a"}]', ['a']],
    ['a list with entries that cannot be read', '{"data":[null,{"id":""},{"id":1},{"id":"a","context_length":"many"}]}', ['a']],
    ['a page', '<html>', []],
    ['null', 'null', []],
  ])('reads %s', (_name, body, ids) => {
    expect(modelsIn(body).map(({ id }) => id)).toEqual(ids);
  });
});
