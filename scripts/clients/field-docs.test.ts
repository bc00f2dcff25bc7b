import { expect, it } from 'vitest';
import { fieldDocs } from './field-docs.ts';

it('docs/clients.md says what becomes of every field; `pnpm docs:fields` writes it', () => {
  const { now, wanted } = fieldDocs();
  expect(now).toBe(wanted);
});
