import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readForgivingly } from './forgiving.ts';

const Entry = z.object({
  id: z.string().min(1),
  size: z.number().int().positive().nullable(),
  slots: z.number().int().nonnegative(),
  note: z.string().optional(),
});
const Report = z.object({
  name: z.string(),
  entries: z.array(Entry),
  usage: z.object({ prompt: z.number().int().nonnegative(), answer: z.number().int().nonnegative() }).nullable(),
});

const entry = (facts: object = {}) => ({ id: 'a', size: 1, slots: 1, ...facts });
const report = (facts: object = {}) => ({ name: 'n', entries: [entry()], usage: { prompt: 1, answer: 2 }, ...facts });

describe('readForgivingly', () => {
  it('returns a value that fits as it is', () => {
    expect(readForgivingly(Report, report())).toEqual({ value: report(), leftOut: [] });
  });

  it.each([0, -1, 1.5, 2 ** 60, '', '12', Number.NaN, Number.POSITIVE_INFINITY, undefined, [], {}])(
    'takes a number that may be unknown for unknown when it is %p',
    (size) => {
      expect(readForgivingly(Report, report({ entries: [entry({ size })] }))?.value.entries).toEqual([entry({ size: null })]);
    },
  );

  it('leaves out an optional field that does not fit', () => {
    expect(readForgivingly(Report, report({ entries: [entry({ note: 5 })] }))?.value.entries).toEqual([entry()]);
  });

  it('leaves out an entry that lacks what it must have, keeps its neighbours and names it', () => {
    const entries = [entry({ id: 'x', slots: -1 }), entry({ id: 'b' }), null, entry({ id: '' }), 'text', entry({ id: 'c' })];
    const read = readForgivingly(Report, report({ entries }));
    expect(read?.value.entries.map(({ id }) => id)).toEqual(['b', 'c']);
    expect(read?.leftOut[0]).toContain('entries.0 ("x").slots');
    expect(read?.leftOut).toHaveLength(4);
  });

  it('takes an object that may be unknown for unknown when several of its parts do not fit', () => {
    expect(readForgivingly(Report, report({ usage: { prompt: -4, answer: 1.5 } }))?.value.usage).toBeNull();
    expect(readForgivingly(Report, report({ usage: undefined }))?.value.usage).toBeNull();
  });

  it.each([null, undefined, 5, 'text', [], {}, { name: 5, entries: [], usage: null }])('returns null for %p', (value) => {
    expect(readForgivingly(Report, value)).toBeNull();
  });

  it('returns null when the list itself is none', () => {
    expect(readForgivingly(Report, report({ entries: 5 }))).toBeNull();
  });

  it('keeps every entry that fits, in order, whatever stands beside it', () => {
    const odd = fc.anything().filter((value) => !Entry.safeParse(value).success);
    const good = fc.nat().map((size) => entry({ id: `good ${size}` }));
    fc.assert(
      fc.property(fc.array(fc.oneof(good, odd)), (entries) => {
        const wanted = entries.filter((value) => Entry.safeParse(value).success);
        const read = readForgivingly(z.object({ entries: z.array(Entry) }), { entries });
        expect(read?.value.entries.filter(({ id }) => id.startsWith('good '))).toEqual(wanted);
      }),
    );
  });
});
