/** A span of time for people, in its two largest units: `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
export const spanOf = (ms: number): string => {
  const seconds = Math.round(ms / 1_000);
  const units = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3_600) % 24],
    ['min', Math.floor(seconds / 60) % 60],
    ['s', seconds % 60],
  ] as const;
  const first = units.findIndex(([, count]) => count > 0);
  if (first < 0) return '0 s';
  return units
    .slice(first, first + 2)
    .flatMap(([unit, count], at) => (at > 0 && (count === 0 || unit === 's') ? [] : [`${count} ${unit}`]))
    .join(' ');
};
