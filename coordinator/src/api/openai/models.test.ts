import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';
import { ModelList } from '@lai/shared/openai';
import { describe, expect, it } from 'vitest';
import type { NodeRecord } from '../../nodes/registry.ts';
import { findModel, listModels } from './models.ts';

const model = (id: string, facts: Partial<LoadedModel> = {}): LoadedModel => ({
  id,
  runtime: 'ollama',
  state: 'cold',
  capabilities: ['chat'],
  contextLength: 4_096,
  sizeBytes: 1,
  vramBytes: null,
  slots: 1,
  inFlight: 0,
  isPinned: false,
  expiresAtMs: null,
  failure: null,
  ...facts,
});

const runtime = (kind: string): NodeSnapshot['runtimes'][number] => ({
  kind,
  version: null,
  state: 'ready',
  mode: 'adopted',
  isSimulated: kind === 'mock',
  detail: null,
});

const node = (name: string, models: LoadedModel[], liveness: NodeRecord['liveness'] = 'alive'): NodeRecord => ({
  nodeId: `node_${name}`,
  epoch: 1,
  instanceId: 'instance',
  replicaId: 'replica',
  liveness,
  snapshot: {
    name,
    sequence: 1,
    takenAtMs: 1_795_241_344_999,
    agentVersion: '0.1.0',
    os: { platform: 'linux', release: '6', arch: 'x64' },
    runtimes: [runtime('ollama'), runtime('mock')],
    gpus: [],
    memory: { totalBytes: 1, freeBytes: 1 },
    modelDiskFreeBytes: null,
    models,
    holds: [],
    maxConcurrent: 1,
    inFlight: 0,
  },
});

const ids = (...nodes: NodeRecord[]): string[] => listModels(nodes).data.map(({ id }) => id);

describe('the list of models', () => {
  it('is empty, not absent, when there is nothing', () => {
    expect(listModels([])).toEqual({ object: 'list', data: [] });
  });

  it('says of each what OpenAI says, and what people like to know', () => {
    const list = listModels([node('attic', [model('llama3.2:3b', { state: 'warm', capabilities: ['chat', 'tools'] })])]);
    expect(list.data).toEqual([
      {
        id: 'llama3.2:3b',
        object: 'model',
        created: 1_795_241_344,
        owned_by: 'lai',
        name: 'llama3.2:3b',
        context_length: 4_096,
        max_context_length: 4_096,
        max_model_len: 4_096,
        capabilities: ['chat', 'tools'],
        warm: true,
        simulated: false,
        nodes: ['attic'],
      },
    ]);
    expect(ModelList.strict().parse(list)).toEqual(list);
  });

  it('has each model once, in order, whichever nodes have it and with or without :latest', () => {
    const fleet = [node('a', [model('zephyr'), model('llama3:latest')]), node('b', [model('llama3'), model('llama3:8b')])];
    expect(ids(...fleet)).toEqual(['llama3', 'llama3:8b', 'zephyr']);
    expect(listModels(fleet).data[0]?.nodes).toEqual(['a', 'b']);
  });

  it('says of a model on several nodes what the best of them can do', () => {
    const [entry] = listModels([
      node('a', [model('m', { contextLength: null, capabilities: ['chat'] })]),
      node('b', [model('m', { contextLength: 8_192, capabilities: ['chat', 'vision'], state: 'warm' })]),
      node('c', [model('m', { contextLength: 4_096, capabilities: ['tools'], state: 'loading' })]),
    ]).data;
    expect(entry).toMatchObject({ context_length: 8_192, capabilities: ['chat', 'vision', 'tools'], warm: true });
  });

  it('leaves an unknown context unknown', () => {
    expect(listModels([node('a', [model('m', { contextLength: null })])]).data[0]).toMatchObject({
      context_length: null,
      max_context_length: null,
      max_model_len: null,
    });
  });

  it('calls a model simulated only when nobody has the real one', () => {
    const mock = node('a', [model('m', { runtime: 'mock' })]);
    const real = node('b', [model('m')]);
    const simulated = (...nodes: NodeRecord[]) => listModels(nodes).data[0]?.simulated;
    expect([simulated(mock), simulated(mock, real), simulated(real, mock), simulated(real)]).toEqual([true, false, false, false]);
  });

  it('has the models of nodes that are slow to answer, and not of those that are gone', () => {
    expect(ids(node('a', [model('m')], 'suspect'), node('b', [model('n')], 'dead'))).toEqual(['m']);
  });
});

describe('one model', () => {
  const fleet = [node('a', [model('llama3:latest'), model('hf.co/unsloth/gpt-oss:Q4_K_M')])];

  it.each([
    ['llama3', 'llama3'],
    ['llama3:latest', 'llama3'],
    ['hf.co/unsloth/gpt-oss:Q4_K_M', 'hf.co/unsloth/gpt-oss:Q4_K_M'],
    ['llama3:8b', undefined],
    ['Llama3', 'llama3'],
    ['registry.ollama.ai/library/llama3', 'llama3'],
    ['huggingface.co/unsloth/gpt-oss:q4_k_m', 'hf.co/unsloth/gpt-oss:Q4_K_M'],
    ['', undefined],
  ])('asked for as %j is %s', (asked, id) => {
    expect(findModel(fleet, asked)?.id).toBe(id);
  });
});
