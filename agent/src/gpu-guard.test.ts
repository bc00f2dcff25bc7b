import type { Gpu } from '@lai/shared/node';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { Holds } from './availability/holds.ts';
import { GpuGuard } from './gpu-guard.ts';
import type { Gpus } from './gpus.ts';
import type { Runtime, RuntimeModel } from './runtimes/runtime.ts';

const GB = 1e9;
const card = (vramFreeBytes: number): Gpu => ({
  id: 'g',
  name: 'RTX 3070',
  vendor: 'nvidia',
  isUnifiedMemory: false,
  vramTotalBytes: 8 * GB,
  vramUsedBytes: 8 * GB - vramFreeBytes,
  vramFreeBytes,
  utilization: null,
  temperatureCelsius: null,
  powerWatts: null,
  driverVersion: null,
});
const model = (change: Partial<RuntimeModel>): RuntimeModel => ({
  id: 'm',
  isLoaded: false,
  isLoading: false,
  capabilities: ['chat'],
  contextLength: null,
  sizeBytes: 4 * GB,
  vramBytes: null,
  slots: 1,
  expiresAtMs: null,
  ...change,
});
const ollama = { kind: 'ollama' } as Runtime;
const cold = model({});
const onGpu = model({ isLoaded: true, vramBytes: 4 * GB });
const onCpu = model({ isLoaded: true, vramBytes: 0 });

const setUp = (cards: Gpu[]) => {
  const holds = new Holds(() => {});
  const guard = new GpuGuard({ holds, gpus: { read: () => cards } as unknown as Gpus, log: pino({ level: 'silent' }) });
  const see = (...models: RuntimeModel[]) => {
    for (const one of models) guard.observe(ollama, [one]);
    return holds.list().map(({ kind }) => kind);
  };
  return { guard, holds, see };
};

describe('a GPU that is silently lost', () => {
  it('holds the node: the model was on the card, had room there and runs on the CPU', () => {
    const { guard, holds, see } = setUp([card(7 * GB)]);
    expect(see(onGpu, cold, onCpu)).toEqual(['gpu_lost']);
    expect(holds.list()[0]?.cause).toContain('m runs on the CPU');
    expect(guard.troubles[0]).toContain('Restart the runtime');
  });

  it.each<[string, RuntimeModel]>([
    ['the model is on the card again', onGpu],
    ['it is unloaded: the next load is the next test', cold],
  ])('is over when %s', (_, next) => {
    const { guard, see } = setUp([card(7 * GB)]);
    expect(see(onGpu, cold, onCpu)).toEqual(['gpu_lost']);
    expect(see(next)).toEqual([]);
    expect(guard.troubles).toEqual([]);
  });

  it('is over when the engine is gone', () => {
    const { guard, holds, see } = setUp([card(7 * GB)]);
    expect(see(onGpu, cold, onCpu)).toEqual(['gpu_lost']);
    guard.forget(ollama);
    expect(holds.list()).toEqual([]);
  });

  it.each<[string, Gpu[], RuntimeModel[]]>([
    ['the model is on the card', [card(7 * GB)], [cold, onGpu]],
    ['there is no card', [], [cold, onCpu]],
    ['its engine has never used the card', [card(7 * GB)], [cold, onCpu]],
    ['it has never been on the card, unlike others', [card(7 * GB)], [model({ ...onGpu, id: 'n' }), cold, onCpu]],
    ['its owner keeps it off the card', [card(7 * GB)], [onGpu, cold, model({ ...onCpu, staysOnCpu: true })]],
    [
      'its name means other weights now',
      [card(7 * GB)],
      [model({ ...onGpu, digest: 'a' }), cold, model({ ...onCpu, digest: 'b' })],
    ],
    [
      'the model is larger than the card',
      [card(7 * GB)],
      [model({ sizeBytes: 20 * GB }), model({ sizeBytes: 20 * GB, isLoaded: true, vramBytes: 0 })],
    ],
    ['the card was full when it was loaded', [card(1 * GB)], [cold, onCpu]],
    ['nobody saw it being loaded: that is only a suspicion', [card(7 * GB)], [onCpu]],
    ['the engine does not tell', [card(7 * GB)], [cold, model({ isLoaded: true })]],
  ])('is not suspected of a hold when %s', (_, cards, models) => {
    expect(setUp(cards).see(...models)).toEqual([]);
  });

  it('is certain, too, when the model is far slower than it was', () => {
    const { guard, see } = setUp([card(1 * GB)]);
    for (let answer = 0; answer < 20; answer += 1) guard.speeds.note('m', 60, 1_000);
    expect(see(onGpu, onCpu)).toEqual([]);
    for (let answer = 0; answer < 3; answer += 1) guard.speeds.note('m', 8, 1_000);
    expect(see(onCpu)).toEqual(['gpu_lost']);
  });

  it('holds nobody by one model while another one of its engine is on the card', () => {
    const { guard, holds } = setUp([card(7 * GB)]);
    const other = model({ ...onGpu, id: 'n' });
    guard.observe(ollama, [onGpu, other]);
    guard.observe(ollama, [cold, other]);
    guard.observe(ollama, [onCpu, other]);
    expect(holds.list()).toEqual([]);
    expect(guard.troubles[0]).toContain('m runs on the CPU');
    guard.observe(ollama, [onCpu, model({ ...onCpu, id: 'n' })]);
    expect(holds.list().map(({ kind }) => kind)).toEqual(['gpu_lost']);
  });
});
