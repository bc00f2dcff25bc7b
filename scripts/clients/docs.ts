import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Row, tableOf } from './matrix.ts';
import type { RealRun } from './real-engine.ts';

const FILE = join(import.meta.dirname, '..', '..', 'docs', 'clients.md');
const BEGIN = '<!-- clients: written by `npm run clients -- --write` -->';
const END = '<!-- /clients -->';

export interface Written {
  readonly rows: readonly Row[];
  /** Null when there was no real engine. */
  readonly real: RealRun | null;
  readonly holdSeconds: number;
}

/** Puts the tables of this run between their marks in docs/clients.md; the text around them is people's. */
export const writeTable = ({ rows, real, holdSeconds }: Written): void => {
  const before = readFileSync(FILE, 'utf8');
  const [start, rest] = before.split(BEGIN);
  const end = rest?.split(END)[1];
  if (start === undefined || end === undefined) throw new Error(`docs/clients.md lacks the marks ${BEGIN} and ${END}`);
  const date = new Date().toISOString().slice(0, 10);
  const said = [
    tableOf(rows),
    `Run on ${date} on ${process.platform}-${process.arch}; held through a cold load of ${holdSeconds} s.`,
    ...(real ? [`With ${real.engine} and a tiny model that knows no words:`, tableOf(real.rows)] : []),
  ];
  writeFileSync(FILE, `${start}${BEGIN}\n\n${said.join('\n\n')}\n\n${END}${end}`);
};
