import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeNvidia, fixtureEnv, until } from './__fixtures__/fixture.ts';
import { probeConformance } from './conformance.ts';
import { startNvidiaProbe } from './gpu-nvidia.ts';
import type { GpuProbe, ProbeEnv } from './gpu-probe.ts';

const MiB = 2 ** 20;

probeConformance('NVIDIA', {
  showsGpu: true,
  start: async () => {
    await FakeNvidia.create();
    return startNvidiaProbe(fixtureEnv());
  },
});

describe('the NVIDIA probe, with a program in place of nvidia-smi', () => {
  let probe: GpuProbe | null = null;
  let fake: FakeNvidia;

  const start = async (settings: Record<string, string>, changes: Partial<ProbeEnv> = {}): Promise<GpuProbe> => {
    fake = await FakeNvidia.create(settings);
    probe = await startNvidiaProbe(fixtureEnv(changes));
    if (probe === null) throw new Error('no probe');
    return probe;
  };

  afterEach(async () => {
    await probe?.close();
    probe = null;
    expect(await fake.alive()).toEqual([]);
  });

  it('shows both cards of one long-lived process, and tells of changes', async () => {
    const { read, onChange, trouble } = await start({});
    await until('both cards', () => read().length === 2);
    const used = new Set<number | null | undefined>();
    let changes = 0;
    const end = onChange(() => {
      changes += 1;
      used.add(read()[0]?.vramUsedBytes);
    });
    await until('three changes', () => changes >= 3);
    expect([...used].toSorted()).toEqual([18211 * MiB, 18243 * MiB]);
    expect(trouble()).toBeNull();
    expect(await fake.pids('loop')).toHaveLength(1);
    end();
    const heard = changes;
    await until('a value we no longer hear of', () => read()[0]?.utilization === 0.97);
    await until('and another', () => read()[0]?.utilization === 0.99);
    expect(changes).toBe(heard);
  });

  it('starts the program again when it dies, and keeps the last values meanwhile', async () => {
    const { read } = await start({ mode: 'die-after-2' });
    await until('a third process', async () => (await fake.pids('loop')).length >= 3);
    expect(read()).toHaveLength(2);
    expect(read()[0]?.vramTotalBytes).toBe(24576 * MiB);
  });

  it('replaces a program that falls silent', async () => {
    const { read } = await start({ mode: 'hang' }, { timing: { ...fixtureEnv().timing, silenceMs: 1_000 } });
    await until('readings', () => read().length === 2);
    await until('a second process', async () => (await fake.pids('loop')).length >= 2);
  });

  it('reports values that nobody has confirmed for a while as not known, and says so once', async () => {
    const { read, onChange } = await start({ mode: 'hang' }, { timing: { ...fixtureEnv().timing, staleAfterMs: 300 } });
    let changes = 0;
    onChange(() => {
      changes += 1;
    });
    await until('stale values', () => changes > 0 && read()[0]?.vramFreeBytes === null);
    expect(read()[0]).toMatchObject({
      name: 'NVIDIA GeForce RTX 3090',
      vramTotalBytes: 24576 * MiB,
      utilization: null,
      powerWatts: null,
    });
  });

  it('samples one by one where a loop prints nothing', async () => {
    const { read, onChange, trouble } = await start(
      { mode: 'buffered' },
      { timing: { ...fixtureEnv().timing, silenceMs: 1_500 } },
    );
    await until('readings', () => read().length === 2);
    let stale = 0;
    onChange(() => {
      stale += read()[0]?.vramFreeBytes === null ? 1 : 0;
    });
    await until('several processes', async () => (await fake.pids('loop')).length >= 5);
    expect([stale, trouble()]).toEqual([0, null]);
  });

  it('reads past garbage', async () => {
    const { read } = await start({ mode: 'garbage' });
    expect(read().length).toBeGreaterThan(0);
  });

  it('stays, with the driver’s own words, when the driver does not answer; and recovers when it does', async () => {
    const { read, trouble } = await start({ mode: 'no-driver' });
    expect(read()).toEqual([]);
    expect(trouble()).toMatch(/couldn't communicate with the NVIDIA driver/);
    await fake.set('mode', 'loop');
    await until('readings', () => read().length === 2);
    // A round has to be whole before the complaint of the one before it is over.
    await until('an end of the trouble', () => trouble() === null);
  });

  it('kills a program that ignores being told to stop', async () => {
    await start({ mode: 'deaf' }, { timing: { ...fixtureEnv().timing, detectMs: 300 } });
    await until('the process', async () => (await fake.alive()).length === 1);
    await probe?.close();
    expect(await fake.alive()).toEqual([]);
  });

  it('lists the programs on the card once for many askers', async () => {
    const { processes } = await start({ query: 'one-gpu.xml' });
    const [first, second] = await Promise.all([processes(), processes()]);
    expect(first?.map((p) => p.kind)).toEqual(['graphics', 'both', 'compute']);
    expect(second).toEqual(first);
    await processes();
    expect(await fake.pids('query')).toHaveLength(1);
  });

  it('does not take warnings on standard error for failure', async () => {
    const { processes } = await start({ query: 'noisy' });
    expect(await processes()).toHaveLength(3);
  });

  it.each(['fail', 'garbage'])('cannot tell who holds the card when the query says: %s', async (query) => {
    const { processes } = await start({ query });
    expect(await processes()).toBeNull();
  });

  it('gives up a query that hangs, and leaves no process of it', async () => {
    const { processes } = await start({ query: 'hang' });
    expect(await processes()).toBeNull();
    await until('the process gone', async () => (await fake.pids('query')).length === 1 && (await fake.alive()).length === 1);
    await fake.set('query', 'one-gpu.xml');
    expect(await until('a working query', processes)).toHaveLength(3);
  });

  it('never holds up the event loop for 50 ms, while streaming and listing', async () => {
    const { processes, read } = await start(
      { query: 'two-gpus.xml' },
      { timing: { ...fixtureEnv().timing, processesCacheMs: 0 } },
    );
    await until('readings', () => read().length === 2);
    // A busy machine adds delays of its own to some; a call that blocks is there in every one of them.
    const windows: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      expect(await processes(0)).toHaveLength(1);
      await sleep(20);
      delay.disable();
      windows.push(delay.max / 1e6);
    }
    expect(Math.min(...windows)).toBeLessThan(50);
  });

  it('leaves PATH as it was', async () => {
    const before = process.env['PATH'];
    const { processes } = await start({});
    await processes();
    expect(process.env['PATH']).toBe(before);
  });

  it('is absent where nvidia-smi is', async () => {
    fake = await FakeNvidia.create();
    expect(await startNvidiaProbe(fixtureEnv({ environment: { PATH: '/nowhere' } }))).toBeNull();
  });
});
