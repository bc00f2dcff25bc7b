import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Sighting, startForegroundWatch } from './foreground.ts';
import { noGpuProbe } from './gpu-none.ts';
import type { GpuProcess } from './gpu-probe.ts';

const setUp = (options: { games?: string[]; processes?: GpuProcess[] } = {}) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-proc-'));
  const procRoot = path.join(folder, 'proc');
  const bin = path.join(folder, 'bin');
  mkdirSync(procRoot);
  mkdirSync(bin);
  let seen: readonly Sighting[] = [];
  let news = 0;
  const run = (pid: number, ...command: string[]) => {
    mkdirSync(path.join(procRoot, String(pid)), { recursive: true });
    writeFileSync(path.join(procRoot, String(pid), 'cmdline'), command.map((word) => `${word}\0`).join(''));
  };
  const end = (pid: number) => rmSync(path.join(procRoot, String(pid)), { recursive: true });
  const busctl = (script: string) => {
    writeFileSync(path.join(bin, 'busctl'), `#!/bin/sh\necho "$@" >> '${folder}/calls'\n${script}\n`);
    chmodSync(path.join(bin, 'busctl'), 0o755);
  };
  const watch = startForegroundWatch({
    platform: 'linux',
    environment: { PATH: `${bin}:/usr/bin:/bin` },
    gpus: () => ({
      ...noGpuProbe,
      vendor: options.processes ? 'nvidia' : 'none',
      processes: async () => options.processes ?? null,
    }),
    games: () => options.games ?? [],
    everyMs: 10,
    desktop: () => null,
    procRoot,
    onSightings: (sightings) => {
      seen = sightings;
      news += 1;
    },
  });
  onTestFinished(async () => {
    await watch.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const until = async (isSo: (seen: readonly Sighting[]) => boolean) => {
    const deadlineMs = performance.now() + 4_000;
    while (!isSo(seen)) {
      if (performance.now() > deadlineMs) throw new Error(`seen: ${JSON.stringify(seen)}`);
      await pause(5);
    }
    return seen;
  };
  return { run, end, busctl, until, news: () => news };
};

describe.runIf(process.platform !== 'win32')('games on Linux', () => {
  it('of Steam are seen when they begin and when they end, and told once each', async () => {
    const { run, end, until, news } = setUp();
    run(10, '/usr/bin/bash');
    run(11, '/home/a/.steam/reaper', 'SteamLaunch', 'AppId=730', '--', '/games/cs2');
    expect(await until((seen) => seen.length > 0)).toEqual([{ source: 'steam', name: 'Steam app 730', pid: 11 }]);
    end(11);
    await until((seen) => seen.length === 0);
    expect(news()).toBe(2);
  });

  it('are seen although the process had its parent’s command line at first', async () => {
    const { run, until } = setUp();
    run(11, 'bash');
    await pause(15);
    run(11, 'reaper', 'SteamLaunch', 'AppId=5', '--');
    await until((seen) => seen[0]?.name === 'Steam app 5');
  });

  it('by the owner’s rules are seen', async () => {
    const { run, until } = setUp({ games: ['minecraft'] });
    run(12, 'java', '-jar', 'minecraft.jar');
    expect(await until((seen) => seen.length > 0)).toEqual([{ source: 'rule', name: 'minecraft', pid: 12 }]);
  });

  it('that use GameMode are seen, and its daemon is asked only while it runs', async () => {
    const { run, busctl, until } = setUp();
    busctl('echo "i 1"');
    await pause(30);
    run(13, '/usr/bin/gamemoded', '-l');
    expect(await until((seen) => seen.length > 0)).toEqual([
      { source: 'gamemode', name: 'a game that uses GameMode', pid: null },
    ]);
  });

  it('without players in GameMode are none', async () => {
    const { run, busctl, until } = setUp({ games: ['marker'] });
    busctl('echo "i 0"');
    run(13, 'gamemoded');
    run(14, 'marker');
    expect(await until((seen) => seen.length > 0)).toMatchObject([{ source: 'rule' }]);
  });

  it('are seen by what they hold on the card', async () => {
    const { until } = setUp({
      processes: [{ pid: 20, name: '/games/factorio', kind: 'graphics', usedBytes: 3e9, gpuId: 'g' }],
    });
    expect(await until((seen) => seen.length > 0)).toEqual([{ source: 'graphics', name: 'factorio', pid: 20 }]);
  });
});
