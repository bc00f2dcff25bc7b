import { stripVTControlCharacters } from 'node:util';
import { UsageError } from '@lai/shared/command-failure';

/** Columns as wide as they must be; colours take no room. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, index) => Math.max(...rows.map((row) => visible(row[index] ?? ''))));
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell + ' '.repeat((widths[index] ?? 0) - visible(cell)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
};

const visible = (text: string): number => stripVTControlCharacters(text).length;

export const gib = (bytes: number | null): string => (bytes === null ? '?' : (bytes / 1024 ** 3).toFixed(1));

/** In the reader's own time, or a dash. */
export const when = (atMs: number | null): string =>
  atMs === null ? '-' : new Date(atMs).toLocaleString('sv-SE', { dateStyle: 'short', timeStyle: 'short' });

const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** `90s`, `30m`, `12h`, `7d` as seconds. */
export const secondsOf = (text: string): number => {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) throw new UsageError(`"${text}" is no time; write 90s, 30m, 12h or 7d.`);
  return Number(count) * UNITS[unit as keyof typeof UNITS];
};
