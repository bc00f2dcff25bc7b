import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressOf } from './address.ts';
import { MANAGEMENT } from './management.ts';
import type { OperationName } from './operation.ts';

describe('addressOf', () => {
  it('leaves out what is not asked', () => {
    expect(addressOf('GET /api/v1/audit', { query: { limit: 5, before: undefined } })).toEqual({
      method: 'GET',
      path: '/api/v1/audit?limit=5',
    });
  });

  it('keeps whatever an id holds in its own segment', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'grapheme', minLength: 1 }),
          fc.constantFrom('/', '../..', '%2e%2e', '?a', '#', '..;', 'hf.co/a/b:q4'),
        ),
        (id) => {
          fc.pre(id !== '.' && id !== '..');
          const { path } = addressOf('DELETE /api/v1/nodes/{id}/commands/{command}', { path: { id, command: 'c' } });
          const arrived = new URL(path, 'http://lai.test').pathname.split('/');
          expect(arrived).toHaveLength(7);
          expect(decodeURIComponent(arrived[4] ?? '')).toBe(id);
        },
      ),
    );
  });

  it.each(['', '.', '..'])('refuses "%s", with which another operation would be called', (id) => {
    expect(() => addressOf('DELETE /api/v1/keys/{id}', { path: { id } })).toThrow('cannot be the name');
  });
});

describe('the management API', () => {
  it('names every operation once, and every place of a path by one word', () => {
    const ids = Object.values(MANAGEMENT).map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const name of Object.keys(MANAGEMENT) as OperationName[]) {
      expect(name).toMatch(/^(GET|POST|PATCH|DELETE) \/api\/v1(\/([a-z-]+|\{[a-z]+\}))+$/);
    }
  });
});
