import { describe, expect, it } from 'vitest';
import { isUnload } from './keep-alive.ts';

describe('keep_alive', () => {
  it.each([0, 0.0, -0, 0.5, '0', '0.0', '0s', '0m', '0ms', '0h0m0s', '+0s', '-0s', '999ms', '.5s', '500us', '1µs', ' 0s '])(
    'asks to unload the model: %j',
    (value) => expect(isUnload(value)).toBe(true),
  );

  it.each([undefined, null, -1, 1, 300, '5m', '1h30m', '1s', '1.5h', '24h', '-1', '-1s', '-1m', '1000ms', '3600'])(
    'keeps it: %j',
    (value) => expect(isUnload(value)).toBe(false),
  );

  it.each(['abc', '5 minutes', '1d', 's', '1h30', '--1s', '1e3s', 'Infinity', 'NaN'])(
    'refuses what is no duration: %j',
    (value) => {
      expect(() => isUnload(value)).toThrow(expect.objectContaining({ code: 'invalid_value', param: 'keep_alive' }));
    },
  );
});
