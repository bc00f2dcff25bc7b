import { type LoadedModel, NodeSnapshot, type RuntimeReport } from '@lai/shared/node';
import { STATUS_LIMIT_BYTES } from '@lai/shared/protocol/codec';
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

const odd = [0, -1, 1.5, 2 ** 60, Number.NaN, Number.POSITIVE_INFINITY, null, undefined, '', [], {}];

describe('a snapshot of odd readings', () => {
  it.each(Object.keys(model('m', 'ollama')))('keeps the other models, whatever stands in the field %s of one', (field) => {
    for (const value of odd) {
      const strange = { ...model('strange', 'ollama'), [field]: value };
      const snapshot = takeSnapshot({ ...parts, models: [model('a', 'ollama'), strange, model('b', 'ollama')] });
      expect(snapshot.models.map(({ id }) => id)).toEqual(expect.arrayContaining(['a', 'b']));
      expect(NodeSnapshot.safeParse(JSON.parse(JSON.stringify(snapshot))).success).toBe(true);
    }
  });

  it('shows a model whose context is 0, with a context that is not known, and says so', () => {
    const snapshot = takeSnapshot({ ...parts, models: [{ ...model('draw', 'ollama'), contextLength: 0 }] });
    expect(snapshot.models).toEqual([{ ...model('draw', 'ollama'), contextLength: null }]);
    expect(snapshot.troubles).toEqual([expect.stringContaining('models.0 ("draw").contextLength')]);
  });

  it('has memory of 0 bytes where the machine tells nonsense', () => {
    const memory = { totalBytes: Number.NaN, freeBytes: -5 };
    expect(takeSnapshot({ ...parts, memory }).memory).toEqual({ totalBytes: 0, freeBytes: 0 });
  });
});

describe('a snapshot of thousands of models', () => {
  const many = Array.from({ length: 6_000 }, (_, index) => ({ ...model(`model-${index}`, 'ollama'), state: 'cold' as const }));
  const used = { ...model('used', 'ollama'), state: 'warm' as const };
  const snapshot = takeSnapshot({ ...parts, models: [...many, used] });

  it('stays within the limit of the wire', () => {
    expect(Buffer.byteLength(JSON.stringify(snapshot))).toBeLessThanOrEqual(STATUS_LIMIT_BYTES);
    expect(snapshot.models.length).toBeGreaterThan(1_000);
  });

  it('shows those in use, then the first ones, and says how many are not shown', () => {
    expect(snapshot.models.at(-1)).toEqual(used);
    expect(snapshot.models[0]?.id).toBe('model-0');
    expect(snapshot.troubles).toEqual([expect.stringMatching(`^${6_001 - snapshot.models.length} of 6001 models are not shown`)]);
  });
});
