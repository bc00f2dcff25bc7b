import { afterEach, describe, expect, it } from 'vitest';
import { FakeNvidia, fixtureEnv, fixturePath, until } from './__fixtures__/fixture.ts';
import { probeConformance } from './conformance.ts';
import { detectGpuProbe } from './gpu.ts';
import { noGpuProbe } from './gpu-none.ts';
import type { GpuProbe } from './gpu-probe.ts';

probeConformance('missing GPU’s', { showsGpu: false, start: async () => noGpuProbe });

describe('detecting the GPUs of this machine', () => {
  let probe: GpuProbe | null = null;

  afterEach(async () => {
    await probe?.close();
    probe = null;
  });

  it('finds an NVIDIA card first', async () => {
    const fake = await FakeNvidia.create();
    probe = await detectGpuProbe(fixtureEnv());
    expect(probe.vendor).toBe('nvidia');
    expect(probe.read().length).toBeGreaterThan(0);
    await probe.close();
    expect(await fake.alive()).toEqual([]);
  });

  it('reports no GPU where there is none', async () => {
    probe = await detectGpuProbe(fixtureEnv({ environment: { PATH: '/nowhere' } }));
    expect(probe.vendor).toBe('none');
    expect(probe.read()).toEqual([]);
    expect(probe.trouble()).toBeNull();
    expect(await probe.processes()).toBeNull();
  });

  it('keeps an NVIDIA driver that does not answer, and finds the card when it does', async () => {
    const fake = await FakeNvidia.create({ mode: 'no-driver' });
    probe = await detectGpuProbe(fixtureEnv({ runCommand: async () => ({ kind: 'missing' }) }));
    expect([probe.vendor, probe.read()]).toEqual(['nvidia', []]);
    await fake.set('mode', 'loop');
    await until('the cards', () => probe?.read().length === 2);
  });

  it('prefers a card that answers to a driver that does not, and leaves nothing of the latter', async () => {
    const fake = await FakeNvidia.create({ mode: 'no-driver' });
    probe = await detectGpuProbe(fixtureEnv({ sysfsRoot: fixturePath('amd/sysfs-rx6700xt') }));
    expect(probe.vendor).toBe('amd');
    const { length: started } = await fake.pids();
    await probe.close();
    expect(await fake.alive()).toEqual([]);
    expect(await fake.pids()).toHaveLength(started);
  });

  it('asks only the mock engine when one is named', async () => {
    const fake = await FakeNvidia.create();
    probe = await detectGpuProbe(fixtureEnv({ mockEngineUrl: 'http://127.0.0.1:9' }));
    expect(probe.vendor).toBe('simulated');
    expect(await fake.pids()).toEqual([]);
  });
});
