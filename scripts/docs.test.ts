import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('what the documents say', () => {
  it.each(['coordinator', 'agent'])('names every setting of the %s', (program) => {
    const variables = [...read(`${program}/src/config.ts`).matchAll(/(?:env\[|: )'(LAI_\w+)'/g)].map(([, name = '']) => name);
    expect(variables.length).toBeGreaterThan(10);
    const told = read('docs/settings.md');
    expect(variables.filter((name) => !told.includes(`\`${name}\``))).toEqual([]);
  });

  it('names no setting that does not exist', () => {
    const known = read('coordinator/src/config.ts') + read('agent/src/config.ts');
    const told = [...read('docs/settings.md').matchAll(/`(LAI_\w+)`/g)].map(([, name = '']) => name);
    expect(told.filter((name) => !known.includes(`'${name}'`))).toEqual([]);
  });

  it('points at files that are there', () => {
    const pages = globSync('{*.md,docs/**/*.md,{agent,coordinator,shared,scripts,deploy}/**/*.md}', {
      cwd: ROOT,
      exclude: (path) => /node_modules|dist/.test(path),
    });
    expect(pages.length).toBeGreaterThan(10);
    const broken = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !existsSync(join(ROOT, dirname(page), target)))
        .map((target) => `${page} → ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
