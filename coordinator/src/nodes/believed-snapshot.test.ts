import { NodeSnapshot } from '@lai/shared/node';
import { isPlain } from '@lai/shared/plain-text';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { believedSnapshot, MOST_ENTRIES, MOST_SLOTS } from './believed-snapshot.ts';

const model = (id: string, slots = 4): NodeSnapshot['models'][number] => ({
  ...{ id, runtime: 'ollama', state: 'warm', capabilities: ['chat'], contextLength: 8_192, sizeBytes: 1e9, vramBytes: 1e9 },
  ...{ slots, inFlight: 0, isPinned: false, expiresAtMs: null, failure: null },
});
const snapshot = (change: Partial<NodeSnapshot> = {}): NodeSnapshot => ({
  ...{ name: 'attic', sequence: 1, takenAtMs: 1, agentVersion: '0.1.0', os: { platform: 'linux', release: '6', arch: 'x64' } },
  runtimes: [{ kind: 'ollama', version: '1', state: 'ready', mode: 'adopted', isSimulated: false, detail: null }],
  ...{ gpus: [], memory: { totalBytes: 1, freeBytes: 1 }, modelDiskFreeBytes: null, models: [model('a:1b')], holds: [] },
  ...{ maxConcurrent: 16, inFlight: 0 },
  ...change,
});

const textsOf = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];

describe('believedSnapshot', () => {
  it('keeps the snapshot of an honest node as it is', () => {
    const honest = snapshot({ models: [model('модель:7b'), model('hf.co/a/b:Q4_K_M')] });
    expect(believedSnapshot(honest)).toEqual(honest);
  });

  it('bounds the slots of the node and of each model', () => {
    const { models, maxConcurrent } = believedSnapshot(snapshot({ models: [model('a', 1e9)], maxConcurrent: 1e9 }));
    expect([models[0]?.slots, maxConcurrent]).toEqual([MOST_SLOTS, MOST_SLOTS]);
  });

  it('leaves out models whose names cannot be shown, keeps the others, and says so', () => {
    const { models, troubles } = believedSnapshot(snapshot({ models: [model('m\u001b[8m'), model('a'), model('\ud800')] }));
    expect(models.map(({ id }) => id)).toEqual(['a']);
    expect(troubles).toEqual(['2 models left out: their names have characters that cannot be shown.']);
  });

  it('cuts lists and says how many models were left out', () => {
    const models = Array.from({ length: 6_000 }, (_, at) => model(`m${at}`));
    const believed = believedSnapshot(snapshot({ models }));
    expect(believed.models).toHaveLength(MOST_ENTRIES);
    expect(believed.troubles?.[0]).toContain('4000 models left out');
  });

  it('is a snapshot again and has only plain, short text, whatever the node reported', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom('\u001b]52;c;eA==\u0007', '\u202e', 'x'.repeat(9_000)),
    );
    const drawn = fc.record({ id: text, version: text, cause: text, gpu: text, slots: fc.nat() });
    fc.assert(
      fc.property(fc.array(drawn, { maxLength: 5 }), (parts) => {
        const said = snapshot({
          models: parts.map(({ id, slots }) => model(id === '' ? 'a' : id.slice(0, 512), slots)),
          holds: parts.map(({ cause }) => ({ kind: cause, cause, sinceMs: 1, untilMs: null })),
          runtimes: parts.map(({ version }) => ({
            ...{ kind: version, version, state: 'ready' as const, mode: 'owned' as const, isSimulated: false, detail: version },
          })),
        });
        const believed = NodeSnapshot.parse(believedSnapshot(said));
        for (const each of textsOf(believed)) expect(isPlain(each) && each.length <= 512).toBe(true);
      }),
    );
  });
});
