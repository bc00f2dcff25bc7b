import { describe, expect, it } from 'vitest';
import { type IdleFacts, isIdleTooLong } from './idle-unload.ts';

const idle: IdleFacts = { state: 'warm', inFlight: 0, isPinned: false, canUnload: true, isOurs: true, lastUsedAtMs: 1_000 };

describe('a model in memory', () => {
  it.each<[string, Partial<IdleFacts>, number, number | null, boolean]>([
    ['that was used a moment ago stays', {}, 1_999, 1_000, false],
    ['that was not used for the whole time goes', {}, 2_000, 1_000, true],
    ['that answers stays, however long it takes', { inFlight: 1 }, 9_000, 1_000, false],
    ['that is pinned stays', { isPinned: true }, 9_000, 1_000, false],
    ['stays when nothing is to be unloaded', {}, 9e9, null, false],
    ['stays where its engine cannot unload it', { canUnload: false }, 9_000, 1_000, false],
    ['that somebody else loaded into their engine is theirs', { isOurs: false }, 9_000, 1_000, false],
    ['that is on its way in stays', { state: 'loading' }, 9_000, 1_000, false],
    ['that is on its way out is on its way out', { state: 'draining' }, 9_000, 1_000, false],
    ['that is not in memory cannot go', { state: 'cold' }, 9_000, 1_000, false],
  ])('%s', (_, facts, nowMs, limitMs, goes) => {
    expect(isIdleTooLong({ ...idle, ...facts }, nowMs, limitMs)).toBe(goes);
  });
});
