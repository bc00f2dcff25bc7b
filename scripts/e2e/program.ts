import { type ChildProcess, spawn } from 'node:child_process';

const OUTPUT_LIMIT = 4 * 1024 * 1024;

/** A process of a test: its output is kept, so that a failure can be explained, and it can be waited for by what it says. */
export class Program {
  readonly name: string;
  readonly exited: Promise<number | NodeJS.Signals | null>;
  readonly #file: string;
  readonly #args: readonly string[];
  readonly #env: Record<string, string>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  readonly #listeners = new Set<(line: string) => void>();
  #unfinished = '';
  #output = '';

  constructor(name: string, args: readonly string[], env: Record<string, string> = {}, file = process.execPath) {
    this.name = name;
    this.#file = file;
    this.#args = args;
    this.#env = env;
    this.#child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_LIMIT);
        for (const watch of this.#watchers) watch();
        this.#tellLines(text);
      });
    }
    this.exited = new Promise((resolve) => this.#child.once('close', (code, signal) => resolve(code ?? signal)));
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} did not start`);
    return this.#child.pid;
  }

  get text(): string {
    return this.#output;
  }

  /** The first line of output that matches, past or future; fails with all of the output when the process ends or time runs out. */
  async until(pattern: RegExp, limitMs = 30_000): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const look = () => {
      const line = this.#output.split('\n').find((candidate) => pattern.test(candidate));
      if (line !== undefined) resolve(line);
    };
    const fail = (why: string) => reject(new Error(`${this.name} ${why} before it said ${pattern}:\n${this.#output}`));
    const timer = setTimeout(() => fail(`took ${limitMs} ms`), limitMs);
    this.#watchers.add(look);
    look();
    void this.exited.then((code) => {
      look();
      fail(`ended (${code})`);
    });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(look);
    }
  }

  /** Each line of output from now on, as it is finished. */
  onLine(listener: (line: string) => void): void {
    this.#listeners.add(listener);
  }

  /** All output of a program that ends by itself; fails when it ends badly. */
  async output(): Promise<string> {
    const code = await this.exited;
    if (code !== 0) throw new Error(`${this.name} ended with ${code}:\n${this.#output}`);
    return this.#output;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #tellLines(text: string): void {
    if (this.#listeners.size === 0) return;
    const lines = (this.#unfinished + text).split('\n');
    this.#unfinished = lines.pop() ?? '';
    for (const line of lines) for (const listener of this.#listeners) listener(line);
  }

  /** The same program, started anew. */
  again(): Program {
    return new Program(this.name, this.#args, this.#env, this.#file);
  }
}
