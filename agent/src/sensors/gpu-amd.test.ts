import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { fixture, fixtureEnv, fixturePath, until } from './__fixtures__/fixture.ts';
import type { CommandRequest } from './command.ts';
import { probeConformance } from './conformance.ts';
import { startAmdProbe } from './gpu-amd.ts';
import type { GpuProbe } from './gpu-probe.ts';

const withoutTool = { PATH: '/nowhere' };

probeConformance('AMD', {
  showsGpu: true,
  start: () => startAmdProbe(fixtureEnv({ sysfsRoot: fixturePath('amd/sysfs-rx6700xt') })),
});

describe('the AMD probe', () => {
  let probe: GpuProbe | null = null;

  afterEach(async () => {
    await probe?.close();
    probe = null;
  });

  it('reads the kernel’s files, and takes names and processes from amd-smi', async () => {
    probe = await startAmdProbe(fixtureEnv({ sysfsRoot: fixturePath('amd/sysfs-rx6700xt') }));
    expect(probe?.read()[0]).toMatchObject({ vendor: 'amd', utilization: 0.07 });
    await until('the name', () => probe?.read()[0]?.name === 'AMD Radeon RX 6700 XT');
    expect((await probe?.processes())?.map((p) => p.pid)).toEqual([21354, 2290]);
  });

  it('does without amd-smi, and cannot tell who holds the card then', async () => {
    probe = await startAmdProbe(fixtureEnv({ sysfsRoot: fixturePath('amd/sysfs-rx6700xt'), environment: withoutTool }));
    expect(probe?.read()).toHaveLength(1);
    expect(await probe?.processes()).toBeNull();
  });

  it('does with amd-smi alone, where sysfs is hidden', async () => {
    probe = await startAmdProbe(fixtureEnv());
    expect(probe?.read()[0]).toMatchObject({ id: 'amd-0000:0b:00.0', vramFreeBytes: 8139 * 2 ** 20 });
  });

  it('is absent without either, and everywhere but on Linux', async () => {
    expect(await startAmdProbe(fixtureEnv({ environment: withoutTool }))).toBeNull();
    expect(await startAmdProbe(fixtureEnv({ platform: 'win32', sysfsRoot: fixturePath('amd/sysfs-rx6700xt') }))).toBeNull();
    expect(await startAmdProbe(fixtureEnv({ sysfsRoot: fixturePath('amd/sysfs-intel'), environment: withoutTool }))).toBeNull();
  });

  const printing = (stdout: string, exitCode = 0) =>
    fixtureEnv({ runCommand: async () => ({ kind: 'ran', stdout, stderr: '', exitCode }) });

  it('tells a warning that stands before the report, and reads the report', async () => {
    const warning = 'WARNING: User is missing the following required groups: render, video.';
    const runCommand = async ({ args }: CommandRequest) => ({
      kind: 'ran' as const,
      stdout: `${warning}\n${await fixture(`amd/amd-smi-${args[0]}.json`)}`,
      stderr: '',
      exitCode: 0,
    });
    probe = await startAmdProbe(fixtureEnv({ runCommand }));
    expect(probe?.read()).toHaveLength(1);
    expect(probe?.trouble()).toContain(warning);
    expect(await probe?.processes()).toHaveLength(2);
  });

  it.each([
    ['that cannot be read', printing('Segmentation fault')],
    ['that fails', printing('', 255)],
    ['that hangs', fixtureEnv({ runCommand: async () => ({ kind: 'unfinished', reason: 'no answer within 5 ms' }) })],
  ])('takes an amd-smi %s for trouble, not for the absence of a GPU', async (_, env) => {
    probe = await startAmdProbe(env);
    expect(probe?.read()).toEqual([]);
    expect(probe?.trouble()).toMatch(/amd-smi/);
  });

  it('is absent where amd-smi lists no card', async () => {
    expect(await startAmdProbe(printing('[]'))).toBeNull();
  });

  it('shows a card that the driver does not show any more as lost', async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'lai-sysfs-'));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    await cp(fixturePath('amd/sysfs-discrete-and-integrated'), root, { recursive: true });
    probe = await startAmdProbe(fixtureEnv({ sysfsRoot: root, environment: withoutTool }));
    expect(probe?.read().map(({ isLost }) => isLost ?? false)).toEqual([false, false]);
    await rm(path.join(root, 'class/drm/card0'), { recursive: true });
    await until('a lost card', () => probe?.read().some(({ isLost }) => isLost));
    expect(probe?.read()).toHaveLength(2);
    expect(probe?.trouble()).toMatch(/does not show/);
  });

  it('ends an amd-smi that hangs when it is closed', async () => {
    const asked: CommandRequest[] = [];
    probe = await startAmdProbe(
      fixtureEnv({
        sysfsRoot: fixturePath('amd/sysfs-rx6700xt'),
        runCommand: (request) => {
          asked.push(request);
          return new Promise((end) =>
            request.signal.addEventListener('abort', () => end({ kind: 'unfinished', reason: 'stopped' }), { once: true }),
          );
        },
      }),
    );
    expect(probe?.read()).toHaveLength(1);
    const list = probe?.processes();
    await probe?.close();
    expect(asked.map((request) => request.args[0])).toEqual(['static', 'process']);
    expect(await list).toBeNull();
  });
});
