const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `30m`, `2h`, `1h30m`, `1d`; null when it is none of these or nothing at all. */
export const parseDurationMs = (text: string): number | null => {
  const whole = text.trim().toLowerCase();
  if (!/^(\d+(?:\.\d+)?\s*(?:s|min|m|h|d)\s*)+$/.test(whole)) return null;
  let ms = 0;
  for (const [, amount, unit] of whole.matchAll(/(\d+(?:\.\d+)?)\s*(s|min|m|h|d)/g))
    ms += Number(amount) * (UNITS[unit ?? ''] ?? 0);
  return ms > 0 ? Math.round(ms) : null;
};
