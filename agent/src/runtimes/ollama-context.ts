const GIB = 2 ** 30;
/** The smallest that Ollama gives by itself, and what it falls back to when a larger one that it chose does not fit. */
export const LEAST_CONTEXT = 4_096;

/**
 * The context Ollama will load a model with when nobody says `num_ctx`: what the model's own file or its owner asks for, else a default
 * by the memory of all GPUs together (its server/routes.go), never more than the model was made for. Where the memory is not known, the
 * least: Ollama cuts off what is longer than it has loaded.
 */
export const ollamaContext = (known: {
  longest: number | null;
  wanted: number | null;
  vramTotalBytes: number | null;
}): number => {
  const given = known.wanted ?? (known.vramTotalBytes === null ? LEAST_CONTEXT : defaultContext(known.vramTotalBytes));
  return known.longest === null ? given : Math.min(given, known.longest);
};

const defaultContext = (vramTotalBytes: number): number => {
  if (vramTotalBytes < 23 * GIB) return LEAST_CONTEXT;
  return vramTotalBytes < 47 * GIB ? 32_768 : 262_144;
};
