import { describe, expect, it } from 'vitest';
import { FIELD_TABLES, fieldPaths } from './field-tables.ts';
import { ignoredFields, ignoredHeader } from './openai/field-table.ts';

describe.each(FIELD_TABLES)('the fields of $route', ({ schema, table }) => {
  it('have a row each, and no row is of another field', () => {
    const paths = fieldPaths(schema, table);
    expect(Object.keys(table.rows).sort()).toEqual(paths.sort());
  });

  it('are heeded as the table says', () => {
    for (const [path, row] of Object.entries(table.rows)) {
      const [name = '', inner] = path.split('.');
      const ask = (value: unknown) => ignoredFields(table, { [name]: inner === undefined ? value : { [inner]: value } });
      for (const nothing of [null, '', 0, false, [], {}]) expect(ask(nothing)).toEqual([]);
      if (row.kind === 'refused') expect(() => ask('asked for')).toThrow(`${path}: ${row.why}`);
      else if (row.kind !== 'inside') expect(ask('asked for')).toEqual(row.kind === 'ignored' ? [path] : []);
    }
  });
});

describe('the header that names what is ignored', () => {
  it('is not there when nothing is', () => {
    expect(ignoredHeader([])).toEqual({});
  });

  it('says each name once, and only what a header may say', () => {
    expect(ignoredHeader(['think', 'options.num_ctx', 'think', 'a\r\nset-cookie: x', 'ü'])).toEqual({
      'x-lai-ignored': 'think, options.num_ctx',
    });
  });

  it('is no longer for a request with many inventions', () => {
    const header = ignoredHeader(Array.from({ length: 10_000 }, (_, index) => `field_${index}`))['x-lai-ignored'];
    expect(header?.split(', ')).toHaveLength(32);
  });
});
