import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CodedError } from '@lai/shared/errors';
import type { JoinSystem, ReleaseInProgress } from '@lai/shared/release-api';
import type { Logger } from 'pino';

/** Programs of 50 MB for two processors, over a slow line. */
const LIMIT_MS = 15 * 60_000;
const MAX_LAST_WORDS = 2_000;

/** In the clone that we run from: beside the bundle's package, or where the sources are. */
const PROGRAM = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../../scripts/release/make-for-fleet.ts' : '../../scripts/release/make-for-fleet.ts',
    import.meta.url,
  ),
);

interface Making extends ReleaseInProgress {
  readonly made: Promise<void>;
  /** Ends the program. */
  readonly stop: () => void;
}

/**
 * Makes releases of the agent from the clone that this coordinator runs from, when a machine is to join and none is there for it.
 * Single writer of what is in progress: one at a time, and everybody who asks for the same waits for the same.
 */
export class ReleaseMaker {
  readonly #outDir: string;
  readonly #keyPath: string;
  readonly #program: string;
  readonly #log: Logger;
  #making: Making | null = null;

  constructor(options: { outDir: string; keyPath: string; log: Logger; program?: string }) {
    this.#outDir = options.outDir;
    this.#keyPath = options.keyPath;
    this.#program = options.program ?? PROGRAM;
    this.#log = options.log;
  }

  /** Null: nothing is being made. */
  get inProgress(): ReleaseInProgress | null {
    if (this.#making === null) return null;
    const { os, step, startedAtMs } = this.#making;
    return { os, step, startedAtMs };
  }

  /** False for a coordinator that was installed without its sources. */
  get canMake(): boolean {
    return existsSync(this.#program);
  }

  /** Resolves when the release is there. Throws `release_failed` with the reason and what to do. */
  async make(os: JoinSystem): Promise<void> {
    while (this.#making !== null) {
      const { os: other, made } = this.#making;
      if (other === os) return made;
      await made.catch(() => {});
    }
    this.#making = this.#start(os);
    return this.#making.made;
  }

  close(): void {
    this.#making?.stop();
  }

  #start(os: JoinSystem): Making {
    const args = [this.#program, '--os', os, '--out', this.#outDir, '--key', this.#keyPath];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
    let lastWords = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      lastWords = (lastWords + text).slice(-MAX_LAST_WORDS);
    });
    createInterface(child.stdout).on('line', (step) => {
      this.#log.info({ os, step }, 'making a release of the agent');
      if (this.#making) this.#making = { ...this.#making, step };
    });
    const ended = new Promise<number | string>((resolve) => {
      child.once('error', ({ message }) => resolve(message));
      child.once('close', (code, signal) => resolve(code ?? `it was ended by ${signal}`));
    });
    const made = ended.then((outcome) => {
      this.#making = null;
      if (outcome === 0) return;
      const why = lastWords.trim() || `its program ended with ${outcome}`;
      this.#log.warn({ os, why }, 'a release of the agent could not be made');
      throw new CodedError('release_failed', { message: `The agent for ${os} could not be prepared: ${why}` });
    });
    made.catch(() => {});
    return {
      os,
      step: `preparing the agent for ${os}, which is done once`,
      startedAtMs: Date.now(),
      made,
      stop: () => void child.kill(),
    };
  }
}
