/** How models are shown: Ollama's default tag says nothing. */
export const withoutLatest = (id: string): string => id.replace(/:latest$/i, '');

/**
 * What a name means, for comparing: Ollama reads names without regard to case, fills in its own registry and namespace, and takes a missing
 * tag for `latest`; clients write names of other engines in any case too. Names with one key are one model wherever a fleet has both.
 */
export const modelKey = (id: string): string =>
  withoutLatest(
    id
      .toLowerCase()
      .replace(/^(?:https?:\/\/)?(?:registry\.ollama\.ai|ollama\.com)\//, '')
      .replace(/^library\//, '')
      .replace(/^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\//, 'hf.co/'),
  );

export const sameModel = (a: string, b: string): boolean => a === b || modelKey(a) === modelKey(b);

/** Of several models, those that the name means: the one of exactly that name where there is one, else all with its key. */
export const modelsNamed = <M extends { readonly id: string }>(models: readonly M[], name: string): M[] => {
  const exact = models.filter(({ id }) => id === name);
  return exact.length > 0 ? exact : models.filter(({ id }) => sameModel(id, name));
};

/**
 * Do these patterns name the model? A pattern is a name, or the beginning of one with a star. `auto` is a word and no model: only a pattern
 * that spells it out names it.
 */
export const namedBy = (patterns: readonly string[], model: string): boolean => {
  const key = modelKey(model);
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? key !== 'auto' && key.startsWith(pattern.slice(0, -1).toLowerCase()) : modelKey(pattern) === key,
  );
};
