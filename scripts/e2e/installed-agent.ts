import { execFileSync } from 'node:child_process';
import { mkdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Program } from './program.ts';

/** What a service control waits is longer; here nobody looks at a machine that is busy with an agent that crashes. */
const RESTART_MS = 200;

/**
 * An agent in a program folder, made of a release's archive as an installer makes it, and kept running by us in the place of the
 * system's service control: whatever its exit code, it is started again.
 */
export class InstalledAgent {
  readonly dir: string;
  readonly name: string;
  readonly #args: readonly string[];
  readonly #env: Record<string, string>;
  readonly codes: (number | NodeJS.Signals | null)[] = [];
  #program: Program | null = null;
  #text = '';
  #isStopped = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: {
    /** The folder's place; it must not be there yet. */
    dir: string;
    archive: string;
    version: string;
    name: string;
    args: readonly string[];
    env: Record<string, string>;
  }) {
    this.dir = options.dir;
    this.name = options.name;
    this.#args = options.args;
    this.#env = options.env;
    mkdirSync(this.dir, { recursive: true });
    execFileSync('tar', ['-xzpf', options.archive, '-C', this.dir]);
    symlinkSync(join('versions', options.version), join(this.dir, 'current'));
  }

  get version(): string {
    return readlinkSync(join(this.dir, 'current')).replace('versions/', '');
  }

  get text(): string {
    return this.#text + (this.#program?.text ?? '');
  }

  /** One command, as somebody at the machine would type it. */
  run(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    return new Program(`${this.name} ${args[0]}`, args, { ...this.#env, ...env }, join(this.dir, 'lai-agent')).output();
  }

  start(): void {
    this.#ended = this.#keepRunning();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#program?.kill('SIGKILL');
    await this.#ended;
  }

  async #keepRunning(): Promise<void> {
    while (!this.#isStopped) {
      const program = new Program(`agent ${this.name}`, ['run', ...this.#args], this.#env, join(this.dir, 'lai-agent'));
      this.#program = program;
      this.codes.push(await program.exited);
      this.#text += program.text;
      this.#program = null;
      if (!this.#isStopped) await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
    }
  }
}
