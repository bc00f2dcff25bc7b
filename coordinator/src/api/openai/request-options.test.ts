import { describe, expect, it } from 'vitest';
import { newRequestId, timeoutFromHeaders } from './request-options.ts';

describe('a request id', () => {
  it('is new each time and fits every header and log', () => {
    const ids = Array.from({ length: 100 }, newRequestId);
    expect(new Set(ids).size).toBe(100);
    for (const id of ids) expect(id).toMatch(/^req_[0-9a-f]{32}$/);
  });
});

describe('X-Lai-Timeout', () => {
  it('is nothing when the client does not say', () => {
    expect(timeoutFromHeaders({})).toBeNull();
  });

  it.each([
    ['30', 30_000],
    ['0.5', 500],
    ['0.001', 1],
    ['1.001', 1_001],
    ['1.005', 1_005],
    ['3600', 3_600_000],
    ['0030', 30_000],
  ])('of %s seconds is %i whole milliseconds', (header, ms) => {
    expect(timeoutFromHeaders({ 'x-lai-timeout': header })).toBe(ms);
  });

  it.each([
    '',
    '0',
    '0.000',
    '-1',
    '3601',
    '3600.001',
    '99999',
    '1e3',
    '0x10',
    '.5',
    '5.',
    ' 5',
    '5s',
    '1,5',
    '30, 60',
    'Infinity',
    'NaN',
  ])('of %j is refused by name', (header) => {
    expect(() => timeoutFromHeaders({ 'x-lai-timeout': header })).toThrow(
      expect.objectContaining({ code: 'invalid_header', param: 'X-Lai-Timeout' }),
    );
  });
});
