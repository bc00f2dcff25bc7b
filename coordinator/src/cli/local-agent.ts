import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { childEnvironment, isAgentSetting } from '@lai/shared/child-environment';
import { keyFingerprint } from '@lai/shared/ed25519';
import { execa, type ResultPromise } from 'execa';
import { coordinatorIdentity } from '../access/coordinator-identity.ts';
import { createRegistrationToken } from '../access/registration-tokens.ts';
import type { Database } from '../store/database.ts';
import { findNode } from '../store/nodes.ts';

const RESTART_MS = 1_000;

export interface LocalAgentOptions {
  readonly name: string;
  readonly url: string;
  readonly db: Database;
  readonly dataDir: string;
  readonly args: readonly string[];
}

/**
 * An agent on the coordinator's own machine, for `lai up`: enrolled the way every agent is, run as a process of its own, started again
 * when it dies, gone when we are (it watches its standard input).
 */
export class LocalAgent {
  readonly #options: LocalAgentOptions;
  readonly #directory: string;
  readonly #logFile: string;
  #child: ResultPromise | undefined;
  #args: readonly string[];
  #isClosed = false;
  /** What the agent said last when it stopped by itself. */
  lastWords = '';

  constructor(options: LocalAgentOptions) {
    this.#options = options;
    this.#args = options.args;
    this.#directory = join(options.dataDir, 'agents', options.name);
    this.#logFile = join(options.dataDir, 'logs', `agent-${options.name}.log`);
  }

  async start(): Promise<void> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    mkdirSync(join(this.#options.dataDir, 'logs'), { recursive: true, mode: 0o700 });
    if (!(await this.#isEnrolled())) await this.#join();
    void this.#keepRunning();
  }

  /** With these arguments from now on. */
  async restart(args: readonly string[]): Promise<void> {
    this.#args = args;
    const child = this.#child;
    child?.kill('SIGTERM');
    await child?.catch(() => {});
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const child = this.#child;
    child?.kill('SIGTERM');
    await child?.catch(() => {});
  }

  async #isEnrolled(): Promise<boolean> {
    try {
      const { nodeId } = JSON.parse(readFileSync(join(this.#directory, 'node.json'), 'utf8'));
      const node = await findNode(this.#options.db, nodeId);
      if (node?.state === 'approved') return true;
    } catch {
      // not yet, or not readable: join anew
    }
    rmSync(join(this.#directory, 'node.json'), { force: true });
    return false;
  }

  async #join(): Promise<void> {
    const { db, url, name } = this.#options;
    const coordinatorFingerprint = await keyFingerprint((await coordinatorIdentity(db)).publicKey);
    const { token } = await createRegistrationToken(db, {
      nowMs: Date.now(),
      coordinatorFingerprint,
      label: name,
      createdBy: 'lai up',
    });
    await execa(process.execPath, [agentProgram(), 'join', '--url', url, '--name', name, '--data-dir', this.#directory], {
      extendEnv: false,
      env: { ...childEnvironment(process.env, isAgentSetting), LAI_TOKEN: token },
    }).catch((error: { stderr?: unknown }) => {
      const words = String(error.stderr ?? '')
        .trim()
        .replace(/^lai-agent: /, '');
      throw new Error(`This machine could not join its own coordinator: ${words || 'its agent said nothing.'}`);
    });
  }

  async #keepRunning(): Promise<void> {
    while (!this.#isClosed) {
      const { url, name } = this.#options;
      const child = execa(
        process.execPath,
        [agentProgram(), 'run', '--data-dir', this.#directory, '--name', name, '--url', url, '--exit-with-parent', ...this.#args],
        {
          ...{
            stdin: 'pipe',
            stdout: 'pipe',
            stderr: 'pipe',
            buffer: { stdout: false, stderr: true },
            reject: false,
            detached: true,
          },
          extendEnv: false,
          env: childEnvironment(process.env, isAgentSetting),
        },
      );
      this.#child = child as unknown as ResultPromise;
      child.stdout.pipe(createWriteStream(this.#logFile, { flags: 'a', mode: 0o600 }));
      const result = await child;
      this.lastWords = result.stderr;
      if (!this.#isClosed) await pause(RESTART_MS);
    }
  }
}

/** Beside our own bundle when bundled, in its package when run from source. */
const agentProgram = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../../../agent/src/main.ts' : '../../agent/dist/lai-agent.js', import.meta.url),
  );
