/** Deterministic small talk: the same prompt gets the same answer, on every machine. */

const ADJECTIVES = ['quiet', 'small', 'early', 'patient', 'warm', 'careful', 'simple', 'bright', 'steady', 'gentle'];
const NOUNS = ['lamp', 'garden', 'river', 'engine', 'neighbour', 'notebook', 'harbour', 'kitchen', 'letter', 'orchard'];
const VERBS = ['follows', 'carries', 'remembers', 'repairs', 'describes', 'answers', 'measures', 'explains'];
const ENDINGS = [
  'before breakfast',
  'near the café',
  'without hurry',
  'in the façade',
  'for a señor',
  'once more',
  'by the fjörd',
];

/** FNV-1a over UTF-16 units: cheap, and only equality matters. */
export const seedOf = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
};

/** Mulberry32: a small random source with a seed. Yields 0 ≤ x < 1. */
export const randomFrom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
};

/** About four characters each, as everybody estimates. */
export const countTokens = (text: string): number => (text === '' ? 0 : Math.ceil(text.length / 4));

/** One sentence as tokens: words with their leading space, the full stop on its own. */
const sentence = (random: () => number): string[] => {
  const pick = (words: readonly string[]): string => words[Math.floor(random() * words.length)] ?? '';
  const words = [
    'The',
    pick(ADJECTIVES),
    pick(NOUNS),
    pick(VERBS),
    'a',
    pick(ADJECTIVES),
    pick(NOUNS),
    ...pick(ENDINGS).split(' '),
  ];
  return [...words.map((word) => ` ${word}`), '.'];
};

/** The label is one token, so that even an answer of one token says that it is simulated. */
export const labelOf = (name: string): string => `[simulated on ${name}]`;

/** Whole sentences, at least half of and at most about `naturalTokens`. */
export const naturalTokens = (text: { seed: number; label: string; naturalTokens: number }): string[] => {
  const random = randomFrom(text.seed);
  const wanted = text.naturalTokens * (0.5 + random() / 2);
  const tokens = [text.label];
  while (tokens.length < wanted) tokens.push(...sentence(random));
  return tokens;
};

/** Exactly `count` tokens, cut wherever that is. */
export const exactTokens = (text: { seed: number; label: string; count: number }): string[] => {
  const random = randomFrom(text.seed);
  const tokens = [text.label];
  while (tokens.length < text.count) tokens.push(...sentence(random));
  tokens.length = text.count;
  return tokens;
};

/** Text that is not prose (JSON, tool arguments), in pieces of about a token's size. */
export const piecesOf = (text: string): string[] => text.match(/[\s\S]{1,4}/gu) ?? [];

/** A unit vector that depends on the text alone. */
export const vectorOf = (text: string, dimensions: number): number[] => {
  const random = randomFrom(seedOf(text));
  const raw = Array.from({ length: dimensions }, () => random() * 2 - 1);
  const length = Math.hypot(...raw);
  return raw.map((x) => Number(Math.fround(x / length).toPrecision(8)));
};

/** Little-endian 32-bit floats, as OpenAI's `encoding_format: base64`. */
export const base64Of = (vector: readonly number[]): string => Buffer.from(new Float32Array(vector).buffer).toString('base64');
