/**
 * Vendor tools print numbers as text: `8192 MiB`, `31 %`, `35.06 W`, or one of many ways to say "I cannot tell": `N/A`, `[N/A]`,
 * `[Not Supported]`, `[Insufficient Permissions]`, `[Unknown Error]`, an empty cell. Whatever is not a plain number is null.
 */
const QUANTITY = /^(-?\d+(?:[.,]\d+)?)\s*([A-Za-z%]*)$/;
/** Decimals or thousands? Nobody can tell: not known. */
const AMBIGUOUS = /^-?\d{1,3},\d{3}(?!\d)/;

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  B: 1,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  // AMD prints binary units under decimal names.
  KB: 2 ** 10,
  MB: 2 ** 20,
  GB: 2 ** 30,
};

type Quantity = { value: number; unit: string };

function quantity(text: string): Quantity | null {
  const match = QUANTITY.exec(text.trim());
  if (match?.[1] === undefined || AMBIGUOUS.test(match[1])) return null;
  const value = Number(match[1].replace(',', '.'));
  // The contract knows no negative reading; drivers print -1 and the like for "unknown".
  return Number.isFinite(value) && value >= 0 ? { value, unit: match[2] ?? '' } : null;
}

/** `defaultUnit` is for output without units, such as nvidia-smi's `nounits` (always MiB). */
export function bytesOf(text: string, defaultUnit = 'B'): number | null {
  const read = quantity(text);
  if (read === null) return null;
  const perUnit = BYTES_PER_UNIT[(read.unit === '' ? defaultUnit : read.unit).toUpperCase()];
  return perUnit === undefined ? null : Math.round(read.value * perUnit);
}

/** Per cent to 0…1. Drivers have been seen above 100 for a moment; that is full, not unknown. */
export function fractionOf(text: string): number | null {
  const read = quantity(text);
  return read === null || (read.unit !== '' && read.unit !== '%') ? null : Math.min(read.value / 100, 1);
}

/** A number in `unit`, or without any. */
export function numberIn(unit: string, text: string): number | null {
  const read = quantity(text);
  return read === null || (read.unit !== '' && read.unit !== unit) ? null : read.value;
}

/** Text that says something: not empty, not one of the "cannot tell" words. */
export function wordOf(text: string): string | null {
  const trimmed = text.trim();
  return trimmed === '' || trimmed === 'N/A' || /^\[.*\]$/.test(trimmed) ? null : trimmed;
}
