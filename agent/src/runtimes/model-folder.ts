/** A folder, by its own name: what a path is called is nobody's business but the machine's. Undefined for a name that is no path. */
export const folderName = (model: string): string | undefined => {
  if (!/^(?:[/~.]|[A-Za-z]:[\\/]|\\\\)/.test(model)) return undefined;
  return model.split(/[\\/]/).findLast((segment) => segment !== '' && segment !== '.' && segment !== '..' && segment !== '~');
};

/**
 * Readable names for models that an engine calls by the paths of their folders, by the engine's name. A path keeps its whole name where
 * another model has its folder's.
 */
export const shownNames = (engineNames: readonly string[]): ReadonlyMap<string, string> => {
  const taken = new Set(engineNames);
  return new Map(
    engineNames.map((engineName) => {
      const shown = folderName(engineName);
      if (shown === undefined || taken.has(shown)) return [engineName, engineName];
      taken.add(shown);
      return [engineName, shown];
    }),
  );
};
