import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const BUILT = join(import.meta.dirname, '..', '..', 'coordinator', 'dist', 'dashboard');
/** kB (1,000 bytes) of gzip -9. */
export const BUDGETS = { firstPage: 100, css: 12, largestLazy: 45, all: 260 } as const;

export interface Sizes {
  readonly firstPage: number;
  readonly css: number;
  readonly largestLazy: number;
  readonly all: number;
}

/** What a browser loads before the first page can be seen, and what may come later. */
export const sizesOf = (folder = BUILT): Sizes => {
  const assets = join(folder, 'assets');
  const kilobytes = (name: string): number => statSync(join(assets, `${name}.gz`)).size / 1_000;
  const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'));
  const styles = readdirSync(assets).filter((name) => name.endsWith('.css'));
  const first = firstScripts(readFileSync(join(folder, 'index.html'), 'utf8'), (name) =>
    readFileSync(join(assets, name), 'utf8'),
  );
  const lazy = scripts.filter((name) => !first.has(name));
  const sum = (names: Iterable<string>): number => [...names].reduce((total, name) => total + kilobytes(name), 0);
  return {
    firstPage: sum(first),
    css: sum(styles),
    largestLazy: Math.max(0, ...lazy.map(kilobytes)),
    all: sum(scripts),
  };
};

/** The page's own scripts and everything that they import from the start. Pure. */
export const firstScripts = (html: string, read: (name: string) => string): Set<string> => {
  const found = new Set<string>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    for (const [, imported = ''] of read(name).matchAll(/(?:from|import)\s*["']\.\/([\w.-]+\.js)["']/g)) visit(imported);
  };
  for (const [, name = ''] of html.matchAll(/assets\/([\w.-]+\.js)/g)) visit(name);
  return found;
};
