import { expect, it } from 'vitest';
import { clockSetBy } from './clock-set.ts';

const before = { wallMs: 1_000_000, upMs: 50_000 };

it.each([
  ['a minute goes by', 60_000, 60_000, 0],
  ['the machine sleeps for a night', 28_800_000, 28_800_000, 0],
  ['uptime counts whole seconds', 60_000, 61_000, 0],
  ['it is set two hours back', -7_140_000, 60_000, -7_200_000],
  ['it is set a day ahead', 86_460_000, 60_000, 86_400_000],
])('the clock was set by so much when %s', (_, wallMs, upMs, setByMs) => {
  expect(clockSetBy(before, { wallMs: before.wallMs + wallMs, upMs: before.upMs + upMs })).toBe(setByMs);
});
