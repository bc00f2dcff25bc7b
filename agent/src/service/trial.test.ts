import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endTrial, judgeStart, MAX_STARTS, readTrial, TRIAL_MS, type Trial, writeTrial } from './trial.ts';

const fresh: Trial = { version: '0.2.0', previous: '0.1.0', starts: 0, deadlineMs: null };
const NOW = 1_000_000;
const start = (trial: Trial | null, nowMs = NOW) => judgeStart(trial, { current: '0.2.0', hasItsNode: true, nowMs });

describe('a start of the current version', () => {
  it.each<[string, Trial | null, string]>([
    ['without a trial', null, 'none'],
    ['of another version than the one on trial', { ...fresh, version: '0.3.0' }, 'none'],
    ['for the first time', fresh, 'run'],
    ['again in time', { ...fresh, starts: 1, deadlineMs: NOW + 1 }, 'run'],
    ['when the minute is over', { ...fresh, starts: 1, deadlineMs: NOW }, 'roll back'],
    ['once too often', { ...fresh, starts: MAX_STARTS, deadlineMs: NOW + TRIAL_MS }, 'roll back'],
  ])('%s: %s → %s', (_, trial, kind) => {
    expect(start(trial).kind).toBe(kind);
  });

  it('gives the whole minute from the first start on, however often it starts', () => {
    const first = start(fresh);
    if (first.kind !== 'run') throw new Error(first.kind);
    expect(first).toMatchObject({ remainingMs: TRIAL_MS, trial: { starts: 1, deadlineMs: NOW + TRIAL_MS } });
    expect(start(first.trial, NOW + 20_000)).toMatchObject({
      remainingMs: TRIAL_MS - 20_000,
      trial: { starts: 2 },
    });
  });

  it('is not given more time by a clock that was set back', () => {
    expect(start({ ...fresh, deadlineMs: NOW + 3_600_000 })).toMatchObject({ remainingMs: TRIAL_MS });
  });
});

it('a version whose Node does not run is taken back at once, and one that is not on trial is not judged', () => {
  const here = { current: '0.2.0', hasItsNode: false, nowMs: NOW };
  expect(judgeStart(fresh, here)).toMatchObject({ kind: 'roll back', why: expect.stringContaining('Node') });
  expect(judgeStart(null, here).kind).toBe('none');
});

describe('the trial file', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lai-trial-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('is read as it was written, until it is ended', () => {
    expect(readTrial(dir)).toBeNull();
    writeTrial(dir, fresh);
    expect(readTrial(dir)).toEqual(fresh);
    endTrial(dir);
    expect(readTrial(dir)).toBeNull();
  });

  it.each(['', '{', 'null', '[]', '{"version":"0.2.0"}', '{"version":1,"previous":"0","starts":0,"deadlineMs":null}'])(
    'is no trial when it holds %j',
    (text) => {
      writeFileSync(join(dir, 'trial.json'), text);
      expect(readTrial(dir)).toBeNull();
    },
  );
});
