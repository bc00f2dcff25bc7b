import { describe, expect, it } from 'vitest';
import { readProvidersFile } from './providers-file.ts';
import { problemLine } from './read-file.ts';

const SEED = `providers:
  - id: openai
    name: OpenAI
    type: openai
    endpoint: https://api.openai.com/v1
    priority: 10
    enabled: true
    maxConcurrent: 8
    healthCheckInterval: 30
    healthCheckTimeout: 5
    healthCheckPath: /models
    authType: bearer
    authSecret: OPENAI_API_KEY
  - id: living-room.pc
    type: openai-compatible
    endpoint: http://192.168.86.63:8000
    location: local
    gpu: RTX 3090
    authType: null
models:
  - id: gpt-4o-mini
    name: GPT-4o mini
    providerId: openai
    contextWindow: 128000
    maxTokens: 16384
    isDefault: true
    costPer1kTokens: 0.00015
    capabilities: { streaming: true, functionCalling: true, vision: true, jsonMode: true }
    tags: [fast]
`;
const problemsOf = (text: string, env: NodeJS.ProcessEnv = {}): string[] => {
  const reading = readProvidersFile('providers.yaml', text, env);
  return reading.kind === 'refused' ? reading.problems.map(problemLine) : [];
};

describe('readProvidersFile', () => {
  it('reads the form of the seeds', () => {
    const reading = readProvidersFile('providers.yaml', SEED);
    expect(reading).toMatchObject({
      kind: 'ok',
      value: { providers: [{ id: 'openai' }, { id: 'living-room.pc', enabled: true }], models: [{ isDefault: true }] },
    });
  });

  it('lets environment variables override address, switch and key', () => {
    const env = {
      PROVIDER_LIVING_ROOM_PC_ENDPOINT: 'http://10.0.0.2:8000',
      PROVIDER_LIVING_ROOM_PC_ENABLED: 'no',
      PROVIDER_OPENAI_API_KEY: 'sk-secret',
    };
    const reading = readProvidersFile('providers.yaml', SEED, env);
    expect(reading).toMatchObject({
      value: {
        providers: [{ authSecret: 'PROVIDER_OPENAI_API_KEY' }, { endpoint: 'http://10.0.0.2:8000', enabled: false }],
      },
    });
    expect(JSON.stringify(reading)).not.toContain('sk-secret');
  });

  it.each<[string, string, NodeJS.ProcessEnv, string]>([
    [
      'an id that is taken',
      'providers:\n  - { id: a, type: openai }\n  - { id: A, type: openai }',
      {},
      'providers.yaml:3:1: the id "A" is taken',
    ],
    ['a kind without an address', 'providers:\n  - { id: a, type: openwebui }', {}, 'providers.yaml:2:1: "a" needs an endpoint'],
    [
      'an address that is none',
      'providers:\n  - { id: a, type: openai, endpoint: "localhost:1" }',
      {},
      'providers.yaml:2:38: providers.0.endpoint: an address such as',
    ],
    ['a kind that nobody knows', 'providers:\n  - { id: a, type: opneai }', {}, 'providers.yaml:2:20: providers.0.type:'],
    ['a model of no provider', 'models:\n  - { id: m, providerId: b }', {}, 'providers.yaml:2:1: the model "m" belongs to "b"'],
    [
      'an unknown key',
      'providers:\n  - { id: a, type: openai, endpont: "http://a" }',
      {},
      'unknown key "endpont". Did you mean "endpoint"?',
    ],
    [
      'a switch that is neither',
      SEED,
      { PROVIDER_OPENAI_ENABLED: 'maybe' },
      'PROVIDER_OPENAI_ENABLED is "maybe". Write true or false.',
    ],
    [
      'an address of the environment that is none',
      SEED,
      { PROVIDER_OPENAI_ENDPOINT: 'nowhere' },
      'PROVIDER_OPENAI_ENDPOINT is no address',
    ],
  ])('refuses %s with its place', (_name, text, env, problem) => {
    expect(problemsOf(text, env)[0]).toContain(problem);
  });
});
