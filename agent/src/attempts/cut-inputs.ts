/** How often an engine is asked again with less. Each time at most nine tenths are left, so this ends with a hundredth of the text. */
export const MOST_CUTS = 40;
const KEPT_AT_MOST = 0.9;
const KEPT_AT_LEAST = 0.05;
/** Of a refusal that tells no figures. */
const KEPT_OTHERWISE = 0.5;

const TOO_LONG = /context|too (?:long|large)|maximum.{0,20}(?:length|tokens)/i;

/**
 * The body of embeddings whose client lets inputs that are too long be cut (`truncate`, as Ollama does), with its longest inputs made
 * shorter after an engine's refusal. Only the engine knows how many tokens a text has; it mostly tells. Null when nothing is to be cut.
 */
export const cutInputs = (body: Buffer, refusal: string): Buffer | null => {
  if (!TOO_LONG.test(refusal)) return null;
  const request = JSON.parse(body.toString()) as { truncate?: unknown; input?: unknown };
  if (request.truncate !== true) return null;
  const inputs = Array.isArray(request.input) ? request.input : [request.input];
  const lengths = inputs.map((input) => (typeof input === 'string' ? input.length : 0));
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  const limit = Math.floor(longest * keptOf(refusal));
  if (limit === 0) return null;
  const cut = inputs.map((input) => (typeof input === 'string' ? cutTo(input, limit) : input));
  return Buffer.from(JSON.stringify({ ...request, input: Array.isArray(request.input) ? cut : cut[0] }));
};

/** The two largest figures of a refusal are what is needed and what there is. */
const keptOf = (refusal: string): number => {
  const figures = [...refusal.matchAll(/\b\d{2,}\b/g)].map(([digits]) => Number(digits)).sort((a, b) => b - a);
  const [needed = 0] = figures;
  const limit = figures.find((figure) => figure < needed);
  if (limit === undefined) return KEPT_OTHERWISE;
  return Math.min(KEPT_AT_MOST, Math.max(KEPT_AT_LEAST, (limit / needed) * 0.95));
};

/** Not inside of a character that is two halves. */
const cutTo = (text: string, length: number): string => {
  if (text.length <= length) return text;
  const isHalf = /[\uD800-\uDBFF]/.test(text.charAt(length - 1));
  return text.slice(0, isHalf ? length - 1 : length);
};
