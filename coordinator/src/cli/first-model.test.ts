import type { FleetStatus, NodeView } from '@lai/shared/admin-api';
import type { NodeSnapshot } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { isStandInObsolete, nextStep } from './first-model.ts';

type Facts = Partial<Pick<NodeSnapshot, 'runtimes' | 'models' | 'pulls' | 'holds'>> & { liveness?: NodeView['liveness'] };

const runtime = (kind: string, state: 'ready' | 'starting' = 'ready') => ({
  ...{ kind, state, version: null, mode: 'owned' as const, isSimulated: kind === 'mock', detail: null },
});
const model = (id: string, runtimeKind = 'ollama', capabilities = ['chat']) => ({
  ...{ id, runtime: runtimeKind, state: 'cold' as const, capabilities, contextLength: null, sizeBytes: null, vramBytes: null },
  ...{ slots: 1, inFlight: 0, isPinned: false, expiresAtMs: null, failure: null },
});
const ollama = runtime('ollama');
const pretended = { runtimes: [runtime('mock')], models: [model('m', 'mock')] };
const fleet = (...nodes: Facts[]): FleetStatus => ({
  ...{ version: '1', uptimeSeconds: 1, redis: 'up', waiting: 0, running: 0 },
  nodes: nodes.map(({ liveness = 'alive', ...facts }, index) => ({
    ...{ nodeId: `node_${index}`, epoch: 1, liveness },
    snapshot: {
      ...{
        name: `n${index}`,
        sequence: 1,
        takenAtMs: 1,
        agentVersion: '1',
        os: { platform: 'linux', release: '6', arch: 'x64' },
      },
      ...{ runtimes: [], gpus: [], memory: { totalBytes: 1, freeBytes: 1 }, modelDiskFreeBytes: null, models: [], holds: [] },
      ...{ maxConcurrent: 1, inFlight: 0 },
      ...facts,
    },
  })),
});
const said = (status: FleetStatus, pull: string | null = null, nodes = 1): string => {
  const step = nextStep(status, { nodes, pull });
  if (step.kind === 'pull') return `pull ${step.model} on ${step.nodeId}`;
  if (step.kind === 'tell') return `tell ${step.readiness.kind}${step.offer ? ' and offer' : ''}`;
  return step.kind === 'wait' ? `wait ${step.readiness?.kind ?? 'for a node'}` : step.kind;
};

describe('nextStep', () => {
  it.each<[string, FleetStatus, string | null, string]>([
    ['waits for a first node', fleet(), null, 'wait for a node'],
    ['waits for a node that is not connected', fleet({ liveness: 'offline' }), null, 'wait for a node'],
    ['asks where a chat model is', fleet({ runtimes: [ollama], models: [model('a')] }), null, 'ask'],
    ['asks a simulated one', fleet(pretended), null, 'ask'],
    ['waits for an engine that starts', fleet({ runtimes: [runtime('vllm', 'starting')] }), null, 'wait starting'],
    ['offers to pull where there is no model', fleet({ runtimes: [ollama] }), null, 'tell no_model and offer'],
    [
      'offers to pull where there are only embeddings',
      fleet({ runtimes: [ollama], models: [model('e', 'ollama', ['embedding'])] }),
      null,
      'tell only_embeddings and offer',
    ],
    ['cannot offer it to llama-server', fleet({ runtimes: [runtime('llama-server')] }), null, 'tell no_model'],
    ['pulls what was asked for', fleet({ runtimes: [ollama] }), 'qwen3:0.6b', 'pull qwen3:0.6b on node_0'],
    ['pulls it beside other models', fleet({ runtimes: [ollama], models: [model('a')] }), 'b', 'pull b on node_0'],
    ['does not pull it twice', fleet({ runtimes: [ollama], models: [model('b:latest')] }), 'b', 'ask'],
    [
      'does not pull what is on its way',
      fleet({ runtimes: [ollama], pulls: [{ model: 'b', runtime: 'ollama', completedBytes: null, totalBytes: null }] }),
      'b',
      'wait downloading',
    ],
    ['has nobody to pull for a simulated one', fleet(pretended), 'b', 'ask'],
  ])('%s', (_, status, pull, expected) => {
    expect(said(status, pull)).toBe(expected);
  });

  it('waits for as many nodes as a demonstration has', () => {
    expect(said(fleet(pretended, pretended), null, 3)).toBe('wait for a node');
    expect(said(fleet(pretended, pretended, pretended), null, 3)).toBe('ask');
  });
});

describe('isStandInObsolete', () => {
  const real = { runtimes: [ollama], models: [model('a')] };
  it.each<[string, FleetStatus, boolean]>([
    ['alone', fleet(pretended), false],
    ['beside a real one', fleet(pretended, real), true],
    ['beside a real one that is gone', fleet(pretended, { ...real, liveness: 'offline' }), false],
    ['beside a real one without a model', fleet(pretended, { runtimes: [ollama] }), false],
    ['where all are real', fleet(real, real), false],
  ])('%s: %s', (_, status, expected) => {
    expect(isStandInObsolete(status)).toBe(expected);
  });
});
