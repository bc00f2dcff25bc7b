import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export interface LogLimits {
  readonly fileBytes: number;
  /** Files in all, the current one included. */
  readonly files: number;
}

/** Enough to see the last days of a chatty engine, little enough for a full disk never to be our fault. */
export const LOG_LIMITS: LogLimits = { fileBytes: 10 * 1024 * 1024, files: 5 };

/**
 * A text file that is cut when it is full: `engine.log` → `engine.log.1` → … → `engine.log.4`, the oldest deleted. Lines are written at
 * once and whole, so that the last words of a process that dies are there. Single writer of its files. A disk that takes nothing more
 * silences the log and nothing else.
 */
export class EngineLog {
  readonly path: string;
  readonly #limits: LogLimits;
  #file: number | undefined;
  #bytes = 0;

  constructor(path: string, limits: LogLimits = LOG_LIMITS) {
    this.path = path;
    this.#limits = limits;
  }

  write(line: string): void {
    const bytes = Buffer.from(line.endsWith('\n') ? line : `${line}\n`);
    try {
      if (this.#file === undefined) this.#open();
      else if (this.#bytes > 0 && this.#bytes + bytes.length > this.#limits.fileBytes) this.#rotate();
      if (this.#file === undefined) return;
      writeSync(this.#file, bytes);
      this.#bytes += bytes.length;
    } catch {
      this.close();
    }
  }

  close(): void {
    if (this.#file === undefined) return;
    try {
      closeSync(this.#file);
    } catch {
      // Nothing of ours depends on it.
    }
    this.#file = undefined;
  }

  #open(): void {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    this.#file = openSync(this.path, 'a', 0o600);
    this.#bytes = fstatSync(this.#file).size;
    if (this.#bytes >= this.#limits.fileBytes) this.#rotate();
  }

  #rotate(): void {
    this.close();
    const last = this.#limits.files - 1;
    rmSync(this.#name(last), { force: true });
    for (let index = last - 1; index >= 0; index -= 1) {
      try {
        renameSync(this.#name(index), this.#name(index + 1));
      } catch {
        // There are fewer yet.
      }
    }
    this.#file = openSync(this.path, 'a', 0o600);
    this.#bytes = fstatSync(this.#file).size;
  }

  #name(index: number): string {
    return index === 0 ? this.path : `${this.path}.${index}`;
  }
}
