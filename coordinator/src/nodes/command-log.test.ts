import type { CommandView } from '@lai/shared/fleet-api';
import { describe, expect, it } from 'vitest';
import { isLost, viewAfter } from './command-log.ts';

const view: CommandView = {
  ...{ commandId: 'c', nodeId: 'n', type: 'model.pull', model: 'm', startedBy: 'ada', startedAtMs: 0, updatedAtMs: 0 },
  ...{ stage: null, completedBytes: null, totalBytes: null, state: 'running', message: null },
};
const MINUTE_MS = 60_000;

describe('a command that people see', () => {
  it.each([
    [
      { kind: 'progress', stage: 'pulling', completedBytes: 3, totalBytes: null },
      { state: 'running', completedBytes: 3 },
    ],
    [{ kind: 'done' }, { state: 'done', message: null }],
    [
      { kind: 'failed', code: 'out_of_memory', detail: 'no room' },
      { state: 'failed', message: 'n: it did not fit' },
    ],
    [
      { kind: 'failed', code: 'canceled', detail: null },
      { state: 'canceled', message: null },
    ],
  ] as const)('after %o', (frame, expected) => {
    expect(viewAfter(view, frame, 'n: it did not fit', 9)).toMatchObject({ ...expected, updatedAtMs: 9 });
  });

  it('is lost when nobody has told of it for longer than its kind may be silent', () => {
    expect(isLost(view, MINUTE_MS)).toBe(false);
    expect(isLost(view, 2 * MINUTE_MS)).toBe(true);
    expect(isLost({ ...view, type: 'model.load' }, 10 * MINUTE_MS)).toBe(false);
    expect(isLost({ ...view, type: 'model.load' }, 20 * MINUTE_MS)).toBe(true);
    expect(isLost({ ...view, state: 'done' }, 20 * MINUTE_MS)).toBe(false);
  });
});
