import { afterEach, describe, expect, it } from 'vitest';
import { fixture, fixtureEnv, until } from './__fixtures__/fixture.ts';
import type { CommandOutcome, RunCommand } from './command.ts';
import { probeConformance } from './conformance.ts';
import { startAppleProbe } from './gpu-apple.ts';
import type { GpuProbe, ProbeEnv } from './gpu-probe.ts';

const mac = { platform: 'darwin', arch: 'arm64' } as const satisfies Partial<ProbeEnv>;

const macWith = (answers: Record<string, string>): RunCommand => {
  return async ({ file }): Promise<CommandOutcome> => {
    const stdout = answers[file];
    return stdout === undefined ? { kind: 'missing' } : { kind: 'ran', stdout, stderr: '', exitCode: 0 };
  };
};

probeConformance('Apple', {
  showsGpu: true,
  start: async () => {
    const answers = { sysctl: await fixture('apple/sysctl-m1-16gb.txt'), ioreg: await fixture('apple/ioreg-m1.txt') };
    return startAppleProbe(fixtureEnv({ ...mac, runCommand: macWith(answers) }));
  },
});

describe('the Apple probe', () => {
  let probe: GpuProbe | null = null;

  afterEach(async () => {
    await probe?.close();
    probe = null;
  });

  it('reads the GPU at start and follows it', async () => {
    const answers = { sysctl: await fixture('apple/sysctl-m1-16gb.txt'), ioreg: await fixture('apple/ioreg-m1.txt') };
    probe = await startAppleProbe(fixtureEnv({ ...mac, runCommand: macWith(answers) }));
    expect(probe?.read()[0]).toMatchObject({ name: 'Apple M1', utilization: 0.96 });
    answers.ioreg = answers.ioreg.replace('"Device Utilization %"=96', '"Device Utilization %"=0');
    await until('an idle GPU', () => probe?.read()[0]?.utilization === 0);
    expect(await probe?.processes()).toBeNull();
  });

  it('has no GPU and says why when sysctl tells nothing', async () => {
    probe = await startAppleProbe(fixtureEnv({ ...mac, runCommand: macWith({}) }));
    expect(probe?.read()).toEqual([]);
    expect(probe?.trouble()).toMatch(/sysctl/);
  });

  it('is absent on Intel Macs and on other systems', async () => {
    expect(await startAppleProbe(fixtureEnv({ platform: 'darwin', arch: 'x64' }))).toBeNull();
    expect(await startAppleProbe(fixtureEnv({ platform: 'linux', arch: 'arm64' }))).toBeNull();
  });
});
