/** Words of a GPU's name that say who sells it, not which one it is. */
const NOISE = new Set([
  ...['nvidia', 'amd', 'ati', 'intel', 'apple', 'geforce', 'radeon', 'graphics', 'gpu', 'corporation', 'inc'],
  ...['laptop', 'mobile', 'max-q', 'oem', 'edition', 'founders', 'pcie', 'sxm', 'simulated'],
]);
const SERIES = new Set(['rtx', 'gtx', 'rx', 'arc', 'tesla', 'quadro']);
const VARIANT = new Set(['ti', 'super', 'xt', 'xtx', 'gre', 'pro', 'max', 'ultra', 'ada']);

/**
 * Short names by which people call a GPU, lower case: "NVIDIA GeForce RTX 3090 Ti" → `3090`, `3090-ti`, `rtx-3090`, `rtx-3090-ti`;
 * "Apple M1 Pro" → `m1`, `m1-pro`. Empty when the name has no model number.
 */
export const gpuNicknames = (name: string): readonly string[] => {
  const words = name
    .toLowerCase()
    .replaceAll(/\([^)]*\)|®|™/g, ' ')
    .split(/[^a-z0-9-]+/)
    .filter((word) => word !== '' && !NOISE.has(word) && !/^\d+gi?b$/.test(word));
  const at = words.findIndex((word) => /^[a-z]{0,2}\d{1,4}[a-z]?$/.test(word) && !SERIES.has(word));
  const number = words[at];
  if (number === undefined) return [];
  const variants: string[] = [];
  for (const word of words.slice(at + 1)) {
    if (!VARIANT.has(word)) break;
    variants.push(word);
  }
  const series = words.slice(0, at).filter((word) => SERIES.has(word));
  const models = variants.length === 0 ? [number] : [number, [number, ...variants].join('-')];
  return [...new Set([...models, ...models.map((model) => [...series, model].join('-'))])];
};
