import type { Dirent } from 'node:fs';
import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GgufFacts } from './gguf-header.ts';
import { GgufLibrary, isLaterPart, llamaSizeBytes } from './llama-model.ts';

/** A model as llama-server's router will find it in its folder: a file, or a folder with shards or with a projector for images. */
export interface ModelInFolder {
  readonly id: string;
  readonly file: string;
  /** The router would take another file of its folder, which is no model. */
  readonly isMistaken: boolean;
  readonly hasProjector: boolean;
  /** All parts and the projector together. */
  readonly sizeBytes: number;
  readonly facts: GgufFacts | null;
}

/** macOS puts a file `._name` beside each one on a disk that is not its own. */
const isGguf = (name: string): boolean => name.endsWith('.gguf') && !name.startsWith('.');
const isModelFile = (name: string): boolean => isGguf(name) && !name.startsWith('mmproj') && !isLaterPart(name);

/** The models in the folder, by the router's own names. A folder that is not there has none; files that are no models are left out. */
export const scanModelsDir = async (dir: string, library = new GgufLibrary()): Promise<ModelInFolder[]> => {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry) => {
      if (await isFolder(dir, entry)) return modelIn(join(dir, entry.name), entry.name, library);
      if (!isModelFile(entry.name)) return null;
      return modelOf({ id: entry.name.slice(0, -'.gguf'.length), file: join(dir, entry.name), projector: null, library });
    }),
  );
  return found.filter((model) => model !== null).toSorted((a, b) => (a.id < b.id ? -1 : 1));
};

/** The router follows links. */
const isFolder = async (dir: string, entry: Dirent): Promise<boolean> =>
  entry.isDirectory() ||
  (entry.isSymbolicLink() &&
    (await stat(join(dir, entry.name)).then(
      (target) => target.isDirectory(),
      () => false,
    )));

interface Found {
  readonly id: string;
  readonly file: string;
  readonly isMistaken?: boolean;
  readonly projector: string | null;
  readonly library: GgufLibrary;
}

const modelIn = async (folder: string, id: string, library: GgufLibrary): Promise<ModelInFolder | null> => {
  const all = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.gguf')).toSorted();
  const names = all.filter(isGguf);
  const [file] = names.filter(isModelFile);
  if (file === undefined) return null;
  const projector = names.find((name) => name.startsWith('mmproj'));
  return modelOf({
    ...{ id, file: join(folder, file), isMistaken: names.length < all.length, library },
    projector: projector ? join(folder, projector) : null,
  });
};

const modelOf = async ({ id, file, isMistaken = false, projector, library }: Found): Promise<ModelInFolder | null> => {
  const looked = await library.look(file);
  return looked.kind === 'no_model'
    ? null
    : {
        ...{ id, file, isMistaken, hasProjector: projector !== null },
        sizeBytes: (await llamaSizeBytes(file, projector)) ?? 0,
        facts: looked.kind === 'model' ? looked.facts : null,
      };
};

/**
 * The router's preset file: what differs from model to model. Embedding models have to be started for embeddings; a wanted context is
 * per request, while llama-server divides what it is given among its slots.
 */
export const presetOf = (models: readonly ModelInFolder[], wants: { contextLength: number | null; slots: number }): string => {
  const sections = models.flatMap(({ id, file, isMistaken, facts }) => {
    // A section's name ends at its bracket; such a model runs with everybody's settings.
    if (/[[\]\n\r]/.test(id) || /[\n\r]/.test(file)) return [];
    const trained = facts?.contextLength ?? Number.POSITIVE_INFINITY;
    const isEmbedding = facts !== null && facts.poolingType !== null;
    const lines = [
      ...(isMistaken ? [`model = ${file}`] : []),
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
