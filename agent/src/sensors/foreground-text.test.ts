import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  frontAppSighting,
  graphicsSightings,
  parseBusctlInt,
  parseFrontApp,
  parseWindowsLook,
  programName,
  ruleSighting,
  steamAppOf,
} from './foreground-text.ts';
import type { GpuProcess } from './gpu-probe.ts';

const fixture = (name: string) => readFileSync(path.join(import.meta.dirname, '__fixtures__', 'foreground', name), 'utf8').trim();

describe('a game of Steam', () => {
  it.each<[string, number | null]>([
    ['/home/a/.steam/ubuntu12_32/reaper\0SteamLaunch\0AppId=730\0--\0/games/cs2\0', 730],
    ['/usr/lib/steam/reaper SteamLaunch AppId=1091500 -- proton waitforexitandrun', 1_091_500],
    ['reaper\0SteamLaunch\0AppId=0\0--\0', null],
    ['steam\0-silent\0', null],
    ['vim\0SteamLaunch.txt\0', null],
    ['', null],
  ])('in %j is %s', (cmdline, app) => {
    expect(steamAppOf(cmdline)).toBe(app);
  });
});

it.each([
  ['/usr/bin/factorio', 'factorio'],
  ['Z:\\games\\Doom\\Doom.exe', 'Doom'],
  ['cs2.EXE', 'cs2'],
  ['', ''],
])('the program %j is called %j', (file, name) => {
  expect(programName(file)).toBe(name);
});

it.each<[string, number | null]>([
  ['i 2\n', 2],
  ['i 0', 0],
  ['s "no"', null],
  ['Failed to get property: The name is not activatable', null],
])('busctl’s %j is %s', (text, value) => {
  expect(parseBusctlInt(text)).toBe(value);
});

describe('a program that draws on the GPU', () => {
  const entry = (change: Partial<GpuProcess>): GpuProcess => ({
    pid: 7,
    name: '/games/factorio',
    kind: 'graphics',
    usedBytes: 2e9,
    gpuId: 'g',
    ...change,
  });
  it.each<[string, Partial<GpuProcess>, number]>([
    ['is a game with a game’s appetite', {}, 1],
    ['is one when it computes, too', { kind: 'both' }, 1],
    ['is none when it only computes', { kind: 'compute' }, 0],
    ['is none when it is small', { usedBytes: 50e6 }, 0],
    ['is none when it is the desktop', { name: '/usr/lib/xorg/Xorg' }, 0],
    ['is none when it is a browser', { name: '/opt/google/chrome/chrome' }, 0],
    ['is none when it is an engine', { name: '/usr/bin/ollama' }, 0],
    ['is none when the machine hides its name', { name: null }, 0],
    ['is none when its memory is not told', { usedBytes: null }, 0],
  ])('%s', (_, change, count) => {
    expect(graphicsSightings([entry(change)])).toHaveLength(count);
  });

  it('is not seen where the machine cannot tell', () => {
    expect(graphicsSightings(null)).toEqual([]);
  });
});

describe('the owner’s rule', () => {
  it.each<[string, string, boolean]>([
    ['finds a program by a part of its path', '/opt/Minecraft-Launcher/run\0', true],
    ['finds what an interpreter runs', 'java\0-jar\0/home/a/minecraft.jar\0', true],
    ['does not take an editor for a game', 'vim\0minecraft.txt\0', false],
    ['does not find another', '/usr/bin/factorio\0', false],
  ])('%s', (_, command, isFound) => {
    expect(ruleSighting(['minecraft'], 5, command)).toEqual(isFound ? { source: 'rule', name: 'minecraft', pid: 5 } : null);
  });
});

describe('a look at Windows', () => {
  it.each([
    ['windows-desktop.jsonl', []],
    ['windows-game.jsonl', [{ source: 'graphics', name: 'Cyberpunk2077', pid: 7044 }]],
    ['windows-steam.jsonl', [{ source: 'steam', name: 'Steam app 730', pid: null }]],
  ])('%s', (file, sightings) => {
    expect(parseWindowsLook(fixture(file), [])).toEqual(sightings);
  });

  it('takes the one entry that an old PowerShell made of a list', () => {
    expect(parseWindowsLook(fixture('windows-one-of-each.jsonl'), [])).toMatchObject([{ name: 'doom' }]);
  });

  it('goes by the owner’s rules', () => {
    expect(parseWindowsLook(fixture('windows-desktop.jsonl'), ['CHROME'])).toEqual([
      { source: 'rule', name: 'CHROME', pid: 8810 },
    ]);
  });

  it('needs less of a load for a program in full screen', () => {
    const look = (notificationState: number) =>
      parseWindowsLook(JSON.stringify({ engines: [{ pid: 1, name: 'old-game', percent: 12 }], notificationState }), []);
    expect(look(3)).toHaveLength(1);
    expect(look(1)).toEqual([]);
  });

  it('is nothing when the line is a complaint', () => {
    expect(parseWindowsLook('Get-CimInstance : Access denied', [])).toBeNull();
  });
});

describe('the application in front of a Mac', () => {
  it('is named by lsappinfo', () => {
    expect(parseFrontApp(fixture('lsappinfo-front.txt'))).toBe('ASN:0x0-0x2b02b');
    expect(parseFrontApp('[ NULL ]')).toBeNull();
  });

  it.each([
    ['lsappinfo-game.txt', { source: 'foreground', name: 'Hades II', pid: 5150 }],
    ['lsappinfo-editor.txt', null],
    ['lsappinfo-none.txt', null],
  ])('%s', (file, sighting) => {
    expect(frontAppSighting(fixture(file))).toEqual(sighting);
  });
});
