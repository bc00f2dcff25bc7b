import { describe, expect, it } from 'vitest';
import {
  GamingWish,
  Gpu,
  isSimulated,
  ListedName,
  LoadedModel,
  ModelFailure,
  ModelName,
  NodeDesired,
  type NodeSnapshot,
  RuntimeReport,
} from './node.ts';

describe('a simulated runtime', () => {
  const snapshot = {
    runtimes: [
      { kind: 'mock', version: null, state: 'ready', mode: 'owned', isSimulated: true, detail: null },
      { kind: 'ollama', version: '0.32.15', state: 'ready', mode: 'adopted', isSimulated: false, detail: null },
    ],
  } satisfies Partial<NodeSnapshot> as unknown as NodeSnapshot;

  it.each([
    ['mock', true],
    ['ollama', false],
    ['vllm', false],
  ])('%s: %j', (runtime, isMock) => {
    expect(isSimulated(snapshot, runtime)).toBe(isMock);
  });
});

describe('words that only a newer agent knows', () => {
  it('do not hide its node: an unknown vendor is "unknown"', () => {
    const gpu = {
      id: '0',
      name: 'GPU of tomorrow',
      vendor: 'moore-threads',
      isUnifiedMemory: false,
      vramTotalBytes: null,
      vramUsedBytes: null,
      vramFreeBytes: null,
      utilization: null,
      temperatureCelsius: null,
      powerWatts: null,
      driverVersion: null,
    };
    expect(Gpu.parse(gpu)).toEqual({ ...gpu, vendor: 'unknown' });
  });

  it('do not hide its node: a model in an unknown state is not for use', () => {
    const model = {
      ...{ id: 'm', runtime: 'tomorrow', state: 'hibernating', capabilities: [], contextLength: null, sizeBytes: null },
      ...{ vramBytes: null, slots: 1, inFlight: 0, isPinned: false, expiresAtMs: null, failure: null },
    };
    expect(LoadedModel.parse(model)).toEqual({ ...model, state: 'unloading' });
  });

  it('do not hide its node: a runtime in an unknown state and mode is not ready and not ours', () => {
    const runtime = { kind: 'tomorrow', version: null, state: 'upgrading', mode: 'borrowed', isSimulated: false, detail: null };
    expect(RuntimeReport.parse(runtime)).toEqual({ ...runtime, state: 'starting', mode: 'adopted' });
  });

  it('do not hide its node: an unknown failure is an internal one', () => {
    const failure = { code: 'gpu_on_fire', message: 'too hot', atMs: 1 };
    expect(ModelFailure.parse(failure)).toEqual({ ...failure, code: 'internal_error' });
  });
});

describe('what the operator wishes of gaming mode', () => {
  const desired = { generation: 3, isDraining: false, pinnedModels: [] };

  it('may be missing: a coordinator of before gaming mode has no wish', () => {
    expect(NodeDesired.parse(desired)).toEqual(desired);
  });

  it('travels with the desired state', () => {
    const withWish = { ...desired, gaming: { mode: 'on', untilMs: 1_795_000_000_000 } };
    expect(NodeDesired.parse(withWish)).toEqual(withWish);
  });

  it('is to leave it to the machine when the word is one that only a newer coordinator knows', () => {
    expect(GamingWish.parse({ mode: 'cloud-gaming', untilMs: null })).toEqual({ mode: 'auto', untilMs: null });
  });
});

describe('a name in a pull', () => {
  it.each([
    'llama3.2:3b',
    'llama3',
    'hf.co/unsloth/gpt-oss-20b:Q4_K_M',
    'registry:5000/ns/m:latest',
    '127.0.0.1:5000/library/demo',
    'm@sha256:0f',
    'a',
  ])('%s is taken', (name) => {
    expect(ModelName.safeParse(name).success).toBe(true);
  });

  it.each([
    '',
    '../etc/passwd',
    'a/../b',
    'a/./b',
    'a//b',
    '/etc/passwd',
    'a/',
    '--help',
    'a b',
    'a\nb',
    'a\n',
    'http://x/y',
    'a?b',
    'a#b',
    'a%2e',
    'ä',
    'a'.repeat(513),
  ])('%j is not', (name) => {
    expect(ModelName.safeParse(name).success).toBe(false);
  });
});

describe('the name of a model in a wish', () => {
  it.each(['qwen3:8b', '/data/models/Qwen2.5-7B-Instruct', '/mnt/f/AI Models/模型 七', '通义 (v2) [q4]', 'C:\\models\\a b'])(
    'may be %s, as a node lists it',
    (name) => {
      expect(ListedName.safeParse(name).success).toBe(true);
    },
  );

  it.each(['', 'a\nb', '\u001b[31m', 'a\u2028b', '\ud800', 'x'.repeat(513)])('may not be %j', (name) => {
    expect(ListedName.safeParse(name).success).toBe(false);
  });
});
