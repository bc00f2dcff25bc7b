import { stat } from 'node:fs/promises';
import { contextBytes } from './context-bytes.ts';
import { positive } from './engine-values.ts';
import { type GgufFacts, readGgufFacts } from './gguf-header.ts';

/** What the router will start a model's own process with, read from the arguments it shows. */
export interface LlamaLaunch {
  readonly file: string | null;
  readonly projector: string | null;
  readonly isForEmbeddings: boolean;
  readonly slots: number | null;
  /** Of all slots together; null when the model's own applies. */
  readonly contextLength: number | null;
  /** How it stores what its context keeps. */
  readonly keyType: string;
  readonly valueType: string;
  /** Behind which it prints. */
  readonly port: number | null;
}

export const readLaunch = (args: readonly string[]): LlamaLaunch => {
  const after = (...names: string[]) => {
    const at = args.findIndex((arg) => names.includes(arg));
    return at === -1 ? null : (args[at + 1] ?? null);
  };
  const number = (text: string | null) => positive.parse(text === null ? null : Number(text));
  return {
    file: after('--model', '-m'),
    projector: after('--mmproj', '-mm'),
    isForEmbeddings: args.includes('--embeddings') || args.includes('--embedding'),
    slots: number(after('--parallel', '-np')),
    contextLength: number(after('--ctx-size', '-c')),
    keyType: after('--cache-type-k', '-ctk') ?? 'f16',
    valueType: after('--cache-type-v', '-ctv') ?? 'f16',
    port: number(after('--port')),
  };
};

/**
 * What a model can do, from its file where it can be read, else from what the server says of it. An embedding model is of use only when
 * its process is started for embeddings; a chat model that has no chat template would answer in a format that it never learned.
 */
export const llamaCapabilities = (known: {
  facts: GgufFacts | null;
  launch: LlamaLaunch | null;
  modalities: readonly string[];
  id: string;
}): string[] => {
  const { facts, launch, modalities } = known;
  const isForEmbeddings = launch === null || launch.isForEmbeddings;
  if (facts?.poolingType === 4) return isForEmbeddings ? ['rerank'] : [];
  const isEmbedding = facts ? facts.poolingType !== null : /embed/i.test(known.id);
  if (isEmbedding) return isForEmbeddings ? ['embedding'] : [];
  const seesImages = modalities.includes('image') || (launch?.projector ?? null) !== null;
  return [
    ...(facts && !facts.hasChatTemplate ? [] : ['chat']),
    'completion',
    'json',
    ...(facts?.canUseTools ? ['tools'] : []),
    ...(seesImages ? ['vision'] : []),
    ...(modalities.includes('audio') ? ['audio'] : []),
  ];
};

/**
 * Tokens that one request may have. A loaded model says it; a cold one gets the slots' share of the context it will be started with,
 * or, where nobody asked for one, all that it was made for (explicit contexts are divided among the slots, the model's own is not).
 */
export const llamaContext = (known: {
  loaded: number | null;
  trained: number | null;
  launch: LlamaLaunch | null;
  isEmbedding: boolean;
}): number | null => {
  const { loaded, trained, launch, isEmbedding } = known;
  if (loaded !== null) return loaded;
  const whole = launch?.contextLength ?? null;
  if (whole === null) return trained;
  return isEmbedding ? whole : Math.floor(whole / (launch?.slots ?? 1)) || null;
};

/** The least that llama-server makes of a context that nobody asked for (`--fit-ctx`), per slot, before it gives a load up. */
const LEAST_CONTEXT = 4_096;

/**
 * What a model's context takes at least: all of one that was asked for; else only what a load cannot do without, because llama-server fits
 * the rest to the memory that is free. Null for models that make vectors, of which many keep nothing.
 */
export const llamaContextBytes = (facts: GgufFacts | null, launch: LlamaLaunch | null): number | null => {
  if (!facts?.kvShape || !launch || facts.poolingType !== null) return null;
  const least = Math.min(LEAST_CONTEXT, facts.contextLength ?? LEAST_CONTEXT) * (launch.slots ?? 1);
  return contextBytes(facts.kvShape, { ...launch, tokens: launch.contextLength ?? least });
};

/** How llama.cpp names the parts of one model; the server is given the first, and finds the others by it. */
const PART = /-(\d{5})-of-(\d{5})\.gguf$/;

/** A part that is not the first: it is no model by itself. */
export const isLaterPart = (file: string): boolean => {
  const [, part = '1'] = PART.exec(file) ?? [];
  return Number(part) > 1;
};

/** All files of the model that begins with this one. */
export const partsOf = (file: string): string[] => {
  const [suffix, , count = ''] = PART.exec(file) ?? [];
  if (suffix === undefined || Number(count) < 1) return [file];
  const stem = file.slice(0, -suffix.length);
  return Array.from({ length: Number(count) }, (_, at) => `${stem}-${String(at + 1).padStart(5, '0')}-of-${count}.gguf`);
};

/** Bytes on disk of all parts and of the projector, which a load brings into memory too; null when the first part cannot be seen. */
export const llamaSizeBytes = async (file: string, projector: string | null): Promise<number | null> => {
  const files = [file, ...partsOf(file).filter((part) => part !== file), ...(projector === null ? [] : [projector])];
  const [first = null, ...others] = await Promise.all(files.map(sizeOf));
  return first === null ? null : others.reduce<number>((sum, size) => sum + (size ?? 0), first);
};

const sizeOf = (file: string): Promise<number | null> =>
  stat(file).then(
    ({ size }) => size,
    () => null,
  );

/** What a look at a file tells: its facts, that it is no model that llama-server reads, or nothing (it is not here, or newer than we are). */
export type Looked =
  | { readonly kind: 'model'; readonly facts: GgufFacts }
  | { readonly kind: 'no_model' }
  | { readonly kind: 'unseen' };

/** Headers of files that were read already; a file that changed is read again. */
export class GgufLibrary {
  readonly #known = new Map<string, { mtimeMs: number; sizeBytes: number; looked: Looked }>();

  async look(file: string): Promise<Looked> {
    try {
      const { mtimeMs, size: sizeBytes } = await stat(file);
      const known = this.#known.get(file);
      if (known?.mtimeMs === mtimeMs && known.sizeBytes === sizeBytes) return known.looked;
      const facts = await readGgufFacts(file);
      const looked: Looked = facts === null ? { kind: 'no_model' } : { kind: 'model', facts };
      this.#known.set(file, { mtimeMs, sizeBytes, looked });
      return looked;
    } catch {
      this.#known.delete(file);
      return { kind: 'unseen' };
    }
  }
}
