import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Row, tableOf } from './matrix.ts';

const FILE = join(import.meta.dirname, '..', '..', 'docs', 'clients.md');
const BEGIN = '<!-- clients: written by `npm run clients -- --write` -->';
const END = '<!-- /clients -->';

/** Puts the table of this run between its marks in docs/clients.md; the text around it is people's. */
export const writeTable = (rows: readonly Row[], holdSeconds: number): void => {
  const before = readFileSync(FILE, 'utf8');
  const [start, rest] = before.split(BEGIN);
  const end = rest?.split(END)[1];
  if (start === undefined || end === undefined) throw new Error(`docs/clients.md lacks the marks ${BEGIN} and ${END}`);
  const date = new Date().toISOString().slice(0, 10);
  const table = `${tableOf(rows)}\n\nRun on ${date} on ${process.platform}-${process.arch}; held through a cold load of ${holdSeconds} s.`;
  writeFileSync(FILE, `${start}${BEGIN}\n\n${table}\n\n${END}${end}`);
};
