import { describe, expect, it } from 'vitest';
import { type Detection, detectionDueMs, type GameSign, gameOf, nextDetection, noGame, strongestSign } from './game-detection.ts';

const LIMITS = { enterMs: 5_000, leaveMs: 60_000 };
const sign = (source: GameSign['source'], name: string = source, pid: number | null = 7): GameSign => ({ source, name, pid });
const doom = sign('steam', 'doom');

describe('the sign of a game that counts', () => {
  const rules = { notGames: ['blender'], ownPids: new Set([99]) };

  it.each<[string, GameSign[], string | null]>([
    ['none', [], null],
    ['a launcher before a program that draws', [sign('graphics'), sign('steam')], 'steam'],
    ['the owner’s rule before everything', [sign('steam'), sign('rule')], 'rule'],
    ['not what the owner said is no game', [sign('graphics', 'Blender 5')], null],
    ['not our own engine, which may draw with Vulkan', [sign('graphics', 'llama-server', 99)], null],
    ['the next best then', [sign('graphics', 'llama-server', 99), sign('foreground')], 'foreground'],
    ['one without a process', [sign('gamemode', 'a game', null)], 'a game'],
  ])('%s', (_, signs, name) => {
    expect(strongestSign(signs, rules)?.name ?? null).toBe(name);
  });
});

describe('a game', () => {
  const suspected: Detection = { kind: 'suspected', sinceMs: 0 };
  const playing: Detection = { kind: 'playing', name: 'doom' };
  const leaving: Detection = { kind: 'leaving', name: 'doom', sinceMs: 0 };

  it.each<[string, Detection, GameSign | null, number, Detection]>([
    ['is nothing', noGame, null, 0, noGame],
    ['is suspected at first sight', noGame, doom, 0, suspected],
    ['is forgotten when it was a flash', suspected, null, 4_999, noGame],
    ['is still suspected', suspected, doom, 4_999, suspected],
    ['has begun when it stays', suspected, doom, 5_000, playing],
    ['is played', playing, doom, 9_000, playing],
    ['is another one now', playing, sign('steam', 'quake'), 9_000, { kind: 'playing', name: 'quake' }],
    ['may be over', playing, null, 0, leaving],
    ['may still be loading', leaving, null, 59_999, leaving],
    ['goes on', leaving, doom, 59_999, playing],
    ['is over', leaving, null, 60_000, noGame],
  ])('%s', (_, state, seen, nowMs, next) => {
    expect(nextDetection(state, seen, { nowMs, ...LIMITS })).toEqual(next);
  });

  it('counts from its beginning until it is over, not before', () => {
    expect([noGame, suspected, playing, leaving].map(gameOf)).toEqual([null, null, 'doom', 'doom']);
  });

  it('is looked at again when something is due', () => {
    expect([noGame, suspected, playing, leaving].map((state) => detectionDueMs(state, LIMITS))).toEqual([
      null,
      5_000,
      null,
      60_000,
    ]);
  });
});
