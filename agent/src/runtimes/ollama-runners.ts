import { modelKey } from '@lai/shared/model-name';

interface Named {
  readonly name: string;
  readonly digest: string | null;
}

/**
 * Which entry of `/api/ps` holds which model of the catalogue in memory. A model is its digest: a copy (`ollama cp`) runs in the same
 * runner as its original, and a name that was pulled anew since is not what is loaded under it. Where digests are not told, names count,
 * by Ollama's own rules. What is left over is in memory without being in the catalogue; its `id` is unique beside the catalogue's names.
 */
export const runsAs = <R extends Named>(catalogue: readonly Named[], runners: readonly R[]) => {
  const byModel = new Map<string, R>();
  const used = new Set<R>();
  for (const model of catalogue) {
    const runner =
      runners.find((one) => one.name === model.name && isSame(one, model)) ??
      runners.find((one) => modelKey(one.name) === modelKey(model.name) && isSame(one, model)) ??
      runners.find((one) => one.digest !== null && one.digest === model.digest);
    if (!runner) continue;
    byModel.set(model.name, runner);
    used.add(runner);
  }
  const names = new Set(catalogue.map((model) => model.name));
  const unlisted = runners
    .filter((runner) => !used.has(runner))
    .map((runner) => ({ ...runner, id: names.has(runner.name) ? `${runner.name}@${runner.digest?.slice(0, 12)}` : runner.name }));
  return { byModel, unlisted };
};

const isSame = (one: Named, other: Named): boolean => one.digest === null || other.digest === null || one.digest === other.digest;
