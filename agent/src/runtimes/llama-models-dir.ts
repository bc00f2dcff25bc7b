import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GgufFacts } from './gguf-header.ts';
import { GgufLibrary, llamaSizeBytes } from './llama-model.ts';

/** A model as llama-server's router will find it in its folder: a file, or a folder with shards or with a projector for images. */
export interface ModelInFolder {
  readonly id: string;
  readonly file: string;
  readonly hasProjector: boolean;
  /** All parts and the projector together. */
  readonly sizeBytes: number;
  readonly facts: GgufFacts | null;
}

const isModelFile = (name: string): boolean => name.endsWith('.gguf') && !name.startsWith('mmproj');

/** What is in the folder, by the router's own rules and names. A folder that is not there has no models. */
export const scanModelsDir = async (dir: string, library = new GgufLibrary()): Promise<ModelInFolder[]> => {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry) => {
      if (entry.isDirectory()) return modelIn(join(dir, entry.name), entry.name, library);
      if (!isModelFile(entry.name)) return null;
      return modelOf({ id: entry.name.slice(0, -'.gguf'.length), file: join(dir, entry.name), projector: null, library });
    }),
  );
  return found.filter((model) => model !== null).toSorted((a, b) => (a.id < b.id ? -1 : 1));
};

interface Found {
  readonly id: string;
  readonly file: string;
  readonly projector: string | null;
  readonly library: GgufLibrary;
}

const modelIn = async (folder: string, id: string, library: GgufLibrary): Promise<ModelInFolder | null> => {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.gguf')).toSorted();
  const [file] = names.filter(isModelFile);
  const projector = names.find((name) => !isModelFile(name));
  return file === undefined
    ? null
    : modelOf({ id, file: join(folder, file), projector: projector ? join(folder, projector) : null, library });
};

const modelOf = async ({ id, file, projector, library }: Found): Promise<ModelInFolder> => ({
  id,
  file,
  hasProjector: projector !== null,
  sizeBytes: (await llamaSizeBytes(file, projector)) ?? 0,
  facts: await library.facts(file),
});

/**
 * The router's preset file: what differs from model to model. Embedding models have to be started for embeddings; a wanted context is
 * per request, while llama-server divides what it is given among its slots.
 */
export const presetOf = (models: readonly ModelInFolder[], wants: { contextLength: number | null; slots: number }): string => {
  const sections = models.flatMap(({ id, facts }) => {
    // A section's name ends at its bracket; such a model runs with everybody's settings.
    if (/[[\]\n\r]/.test(id)) return [];
    const trained = facts?.contextLength ?? Number.POSITIVE_INFINITY;
    const isEmbedding = facts !== null && facts.poolingType !== null;
    const lines = [
      ...(isEmbedding ? ['embeddings = true'] : []),
      ...(facts?.poolingType === 4 ? ['reranking = true'] : []),
      ...(wants.contextLength === null || isEmbedding ? [] : [`c = ${Math.min(wants.contextLength, trained) * wants.slots}`]),
    ];
    return lines.length === 0 ? [] : [[`[${id}]`, ...lines].join('\n')];
  });
  return `${['version = 1', ...sections].join('\n\n')}\n`;
};

/** Writes the file if it would say something new; tells whether it did. Readers never see half of it. */
export const writePreset = async (file: string, text: string): Promise<boolean> => {
  if ((await readFile(file, 'utf8').catch(() => null)) === text) return false;
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return true;
};

/**
 * Keeps the preset of an owned router in step with its folder. Each call says whether the router should look again: a model was added,
 * taken away or exchanged. The router unloads what changed and leaves the rest alone.
 */
export const watchModelsDir = (options: { dir: string; presetFile: string; contextLength: number | null; slots: number }) => {
  const library = new GgufLibrary();
  let seen: string | undefined;
  return async (): Promise<boolean> => {
    const models = await scanModelsDir(options.dir, library);
    const isNewPreset = await writePreset(options.presetFile, presetOf(models, options));
    const now = JSON.stringify(models.map(({ id, file, hasProjector, sizeBytes }) => [id, file, hasProjector, sizeBytes]));
    const isNewFolder = seen !== undefined && seen !== now;
    seen = now;
    return isNewPreset || isNewFolder;
  };
};
