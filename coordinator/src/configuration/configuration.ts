import { type FSWatcher, watch } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { noRules } from '../routing/rules.ts';
import { type ProvidersFile, readProvidersFile } from './providers-file.ts';
import { type FileReading, MAX_FILE_BYTES, type Problem, problemLine } from './read-file.ts';
import { type RoutingFile, readRoutingFile } from './routing-file.ts';

export const ROUTING_FILE = 'routing.yaml';
export const PROVIDERS_FILE = 'providers.yaml';

/** What the files say together. Applied whole or not at all. */
export interface Household {
  readonly routing: RoutingFile;
  readonly providers: ProvidersFile;
}

export const emptyHousehold: Household = {
  routing: { rules: noRules, complex: { matches: () => false } },
  providers: { providers: [], models: [] },
};

export type HouseholdReading =
  | { readonly kind: 'ok'; readonly household: Household }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

/** Reads both files of a folder. A file that is not there is an empty one. */
export const readHousehold = async (folder: string, env: NodeJS.ProcessEnv): Promise<HouseholdReading> => {
  const [routing, providers] = await Promise.all([
    readOne(folder, ROUTING_FILE, (text) => readRoutingFile(ROUTING_FILE, text, env)),
    readOne(folder, PROVIDERS_FILE, (text) => readProvidersFile(PROVIDERS_FILE, text, env)),
  ]);
  if (routing.kind === 'ok' && providers.kind === 'ok')
    return { kind: 'ok', household: { routing: routing.value, providers: providers.value } };
  const problems = [routing, providers].flatMap((reading) => (reading.kind === 'refused' ? reading.problems : []));
  return { kind: 'refused', problems };
};

const readOne = async <Value>(
  folder: string,
  name: string,
  read: (text: string) => FileReading<Value>,
): Promise<FileReading<Value>> => {
  const refuse = (what: string): FileReading<Value> => ({
    kind: 'refused',
    problems: [{ file: name, line: 1, column: 1, what }],
  });
  try {
    const file = await open(join(folder, name));
    try {
      const { size } = await file.stat();
      if (size > MAX_FILE_BYTES) return refuse(`the file has ${size} bytes; at most ${MAX_FILE_BYTES} are read.`);
      return read(await file.readFile('utf8'));
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? read('') : refuse(`the file cannot be read: ${message}.`);
  }
};

const textOf = ({ routing, providers }: Household): string => JSON.stringify([routing.rules, providers]);

/** Editors write a file in several steps; what is read in between would be half of it. */
const SETTLE_MS = 150;
/** A folder that does not exist yet, and file systems that report no changes. */
const POLL_MS = 5_000;

/**
 * The household's configuration as it is in force. Single writer of it. A change of the files is read whole and applied at once, or
 * refused whole; then the last good one stays in force and `refused` says why.
 */
export class Configuration {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: Logger;
  readonly #listeners = new Set<(household: Household) => void>();
  #household = emptyHousehold;
  #refused: readonly Problem[] = [];
  #appliedAtMs: number | null = null;
  /** What is in force, as text: a file that was saved without a change is no change. */
  #written = textOf(emptyHousehold);
  #watcher: FSWatcher | null = null;
  #settling: NodeJS.Timeout | undefined;
  readonly #poll: NodeJS.Timeout;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: { folder: string; env: NodeJS.ProcessEnv; log: Logger }) {
    this.#folder = options.folder;
    this.#env = options.env;
    this.#log = options.log;
    this.#poll = setInterval(() => void this.reload(), POLL_MS);
    this.#poll.unref();
  }

  get household(): Household {
    return this.#household;
  }

  /** Why the files as they are now are not in force; empty when they are. */
  get refused(): readonly Problem[] {
    return this.#refused;
  }

  /** When the configuration in force was applied (epoch ms); null while it is the empty one. */
  get appliedAtMs(): number | null {
    return this.#appliedAtMs;
  }

  /** Called with every configuration that comes into force. */
  onChange(listener: (household: Household) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Throws at the start when the files cannot be used: the operator is there and can mend them. */
  async start(): Promise<void> {
    await this.reload();
    if (this.#refused.length > 0)
      throw new Error(`The configuration in ${this.#folder} cannot be used:\n${this.#refused.map(problemLine).join('\n')}`);
    this.#watch();
  }

  /** Reads the files again; one read at a time. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read());
    return this.#reading;
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    this.#watcher?.close();
  }

  async #read(): Promise<void> {
    if (!this.#watcher) this.#watch();
    const reading = await readHousehold(this.#folder, this.#env);
    if (reading.kind === 'refused') {
      const isNews = JSON.stringify(reading.problems) !== JSON.stringify(this.#refused);
      this.#refused = reading.problems;
      if (isNews)
        this.#log.error(
          { problems: reading.problems.map(problemLine) },
          'configuration refused; the last good one stays in force',
        );
      return;
    }
    this.#refused = [];
    const written = textOf(reading.household);
    if (written === this.#written) return;
    this.#written = written;
    this.#household = reading.household;
    this.#appliedAtMs = Date.now();
    this.#log.info({ folder: this.#folder }, 'configuration applied');
    for (const listener of this.#listeners) listener(this.#household);
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#folder, () => {
        clearTimeout(this.#settling);
        this.#settling = setTimeout(() => void this.reload(), SETTLE_MS);
      });
      this.#watcher.on('error', () => {
        this.#watcher?.close();
        this.#watcher = null;
      });
    } catch {
      // The folder does not exist yet: the poll finds it.
      this.#watcher = null;
    }
  }
}
