import { type LoadedModel, NodeSnapshot, type RuntimeReport } from '@lai/shared/node';
import { describe, expect, it } from 'vitest';
import { type SnapshotParts, takeSnapshot } from './snapshot.ts';

const runtime = (kind: string, state: RuntimeReport['state']): RuntimeReport => ({
  kind,
  version: null,
  state,
  mode: 'adopted',
  isSimulated: false,
  detail: null,
});

const model = (id: string, kind: string): LoadedModel => ({
  id,
  runtime: kind,
  state: 'warm',
  capabilities: ['chat'],
  contextLength: 4096,
  sizeBytes: 1,
  vramBytes: 1,
  slots: 1,
  inFlight: 0,
  isPinned: false,
  expiresAtMs: null,
  failure: null,
});

const parts: SnapshotParts = {
  name: 'attic',
  sequence: 7,
  takenAtMs: 1_795_241_344_000,
  agentVersion: '0.1.0',
  os: { platform: 'linux', release: '6.1', arch: 'x64' },
  memory: { totalBytes: 8, freeBytes: 4 },
  modelDiskFreeBytes: null,
  runtimes: [runtime('ollama', 'ready')],
  gpus: [],
  models: [model('m', 'ollama')],
  holds: [{ kind: 'gaming', cause: 'detected', sinceMs: 1, untilMs: null }],
  gaming: { mode: 'auto', setBy: 'default', untilMs: null, isActive: false, cause: null, allowsForced: true },
  preemption: null,
  maxConcurrent: 4,
  inFlight: 1,
};

describe('a snapshot', () => {
  it('holds everything that was observed, and the wire takes it as it is', () => {
    const snapshot = takeSnapshot(parts);
    expect(snapshot).toEqual(parts);
    expect(NodeSnapshot.parse(snapshot)).toEqual(snapshot);
  });

  it.each<[RuntimeReport['state'], boolean]>([
    ['ready', true],
    ['starting', false],
    ['stopped', false],
    ['failed', false],
  ])('of a runtime that is %s shows its models: %j', (state, isShown) => {
    const { models, runtimes } = takeSnapshot({ ...parts, runtimes: [runtime('ollama', state)] });
    expect(models.map(({ id }) => id)).toEqual(isShown ? ['m'] : []);
    expect(runtimes).toHaveLength(1);
  });

  it('tells runtimes apart', () => {
    const { models } = takeSnapshot({
      ...parts,
      runtimes: [runtime('ollama', 'failed'), runtime('vllm', 'ready')],
      models: [model('a', 'ollama'), model('b', 'vllm'), model('c', 'unheard-of')],
    });
    expect(models.map(({ id }) => id)).toEqual(['b']);
  });
});
