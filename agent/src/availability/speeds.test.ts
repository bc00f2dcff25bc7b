import { expect, it } from 'vitest';
import { Speeds } from './speeds.ts';

const note = (speeds: Speeds, times: number, perSecond: number) => {
  for (let count = 0; count < times; count += 1) speeds.note('m', perSecond, 1_000);
};

it('a speed is told when a few answers came', () => {
  const speeds = new Speeds();
  note(speeds, 2, 50);
  expect(speeds.of('m')).toEqual({ tokensPerSecond: null, usualTokensPerSecond: null });
  note(speeds, 1, 50);
  expect(speeds.of('m')).toEqual({ tokensPerSecond: 50, usualTokensPerSecond: 50 });
});

it('the usual speed is still the GPU’s after some answers of the CPU', () => {
  const speeds = new Speeds();
  note(speeds, 20, 60);
  note(speeds, 5, 9);
  expect(speeds.of('m').tokensPerSecond).toBe(9);
  expect(speeds.of('m').usualTokensPerSecond).toBeGreaterThan(55);
});

it('a very short answer tells nothing', () => {
  const speeds = new Speeds();
  for (let count = 0; count < 5; count += 1) speeds.note('m', 2, 1);
  expect(speeds.of('m').tokensPerSecond).toBeNull();
});
