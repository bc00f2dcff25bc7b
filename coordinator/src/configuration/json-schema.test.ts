import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonSchemaOf, schemaNames } from './json-schema.ts';
import { readProvidersFile } from './providers-file.ts';
import { readRoutingFile } from './routing-file.ts';

const DOCS = join(import.meta.dirname, '..', '..', '..', 'docs');
const exampleOf = (page: string): string =>
  /```yaml\n([\s\S]*?)```/.exec(readFileSync(join(DOCS, page), 'utf8'))?.[1] ?? 'no: example';

describe('jsonSchemaOf', () => {
  it.each(schemaNames)('describes the file %s, which takes no unknown keys', (name) => {
    expect(jsonSchemaOf(name)).toMatchObject({ type: 'object', additionalProperties: false });
  });

  it('knows no other file', () => {
    expect(jsonSchemaOf('toString')).toBeUndefined();
  });
});

describe('the examples of the documentation', () => {
  it('can be used', () => {
    expect(readRoutingFile('routing.yaml', exampleOf('routing.md'))).toMatchObject({ kind: 'ok' });
    expect(readProvidersFile('providers.yaml', exampleOf('providers.md'))).toMatchObject({ kind: 'ok' });
  });
});
