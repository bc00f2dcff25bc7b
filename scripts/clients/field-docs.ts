import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIELD_TABLES, fieldPaths } from '../../coordinator/src/api/field-tables.ts';
import type { FieldTable, Treatment } from '../../coordinator/src/api/openai/field-table.ts';
import { optionsOr } from '../command-line.ts';

const FILE = join(import.meta.dirname, '..', '..', 'docs', 'clients.md');
const BEGIN = '<!-- fields: written by `pnpm docs:fields` -->';
const END = '<!-- /fields -->';

/** docs/clients.md as it is and as it should be: the tables between their marks are made of the schemas and of what becomes of their fields. */
export const fieldDocs = (): { readonly now: string; readonly wanted: string } => {
  const now = readFileSync(FILE, 'utf8');
  const [start, rest] = now.split(BEGIN);
  const end = rest?.split(END)[1];
  if (start === undefined || end === undefined) throw new Error(`docs/clients.md lacks the marks ${BEGIN} and ${END}`);
  return { now, wanted: `${start}${BEGIN}\n\n${FIELD_TABLES.map(section).join('\n\n')}\n\n${END}${end}` };
};

const section = ({ route, schema, table }: (typeof FIELD_TABLES)[number]): string => {
  const paths = fieldPaths(schema, table).filter((path) => table.rows[path]?.kind !== 'inside');
  const rows = paths.sort().map((path) => [`\`${path}\``, ...saidOf(table.rows[path])]);
  return `### \`${route}\`\n\n${aligned([['field', 'is', 'that is'], ...rows, ['any other', ...saidOfOthers(table)]])}`;
};

const saidOf = (row: Treatment | undefined): string[] => {
  if (row === undefined) throw new Error('a field without a row');
  if (row.kind === 'inside' || row.kind === 'passed') return ['passed', ''];
  if (row.kind === 'translated') return ['translated', row.how ?? ''];
  const harmless = row.harmless ? ` (not ${row.harmless.join(' or ')})` : '';
  return [row.kind === 'ignored' ? 'ignored on purpose' : 'refused', `${row.why}${harmless}`];
};

const saidOfOthers = ({ unknown }: FieldTable): string[] =>
  unknown === 'passed' ? ['passed', 'the engine may know it'] : ['ignored on purpose', 'nobody here knows it'];

const aligned = ([head = [], ...rows]: string[][]): string => {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n');
};

if (import.meta.main) {
  optionsOr('usage: npm run docs:fields   (writes the tables of fields into docs/clients.md)', {});
  writeFileSync(FILE, fieldDocs().wanted);
}
