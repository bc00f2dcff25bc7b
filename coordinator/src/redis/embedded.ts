import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';

const START_LIMIT_MS = 15_000;
const STOP_GRACE_MS = 10_000;
const RESTART_WAIT_MS = 200;

/**
 * A private redis-server on a unix socket (no port that others on the machine could reach), supervised: started, adopted when one of
 * ours survived us, restarted when it dies, stopped last. Single writer of its child.
 *
 * `appendfsync always`: with `everysec` a plain kill -9 lost acknowledged writes (measured: 235 in 20 rounds; `always`: none in 10).
 * `noeviction`: a full Redis must refuse, not forget.
 */
export class EmbeddedRedis {
  readonly url: string;
  readonly #directory: string;
  readonly #socket: string;
  readonly #program: string;
  readonly #log: Logger;
  #child: ReturnType<typeof spawn> | undefined;
  #isClosed = false;
  #hasAnswered = false;
  /** How the process ended before it has answered once; null while it may still come up. */
  #failure: string | null = null;

  constructor(options: { dataDir: string; program: string; log: Logger }) {
    this.#directory = join(options.dataDir, 'redis');
    this.#socket = socketPath(this.#directory);
    this.#program = options.program;
    this.#log = options.log;
    this.url = `unix://${this.#socket}`;
  }

  async start(): Promise<void> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    if (await this.#answers()) {
      this.#hasAnswered = true;
      this.#log.info('using the private redis that is still running');
      return;
    }
    writeFileSync(join(this.#directory, 'redis.conf'), this.#settings(), { mode: 0o600 });
    this.#spawn();
    const deadline = performance.now() + START_LIMIT_MS;
    while (!(await this.#answers())) {
      const problem =
        this.#failure ?? (performance.now() > deadline ? `does not answer after ${START_LIMIT_MS / 1_000} s` : null);
      if (problem !== null)
        throw new Error(
          `The private Redis cannot be started: ${this.#program} ${problem}. Its last words are in ${this.#directory}/redis.log; LAI_REDIS_SERVER names another program, LAI_REDIS_URL a Redis that runs already.`,
        );
      await pause(20);
    }
    this.#hasAnswered = true;
  }

  /** Saves and stops, also when the process was adopted. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const redis = new Redis(this.#socket, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    redis.on('error', () => {});
    await redis
      .connect()
      .then(() => redis.shutdown())
      .catch(() => {});
    redis.disconnect();
    const child = this.#child;
    if (!child) return;
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await child;
    clearTimeout(force);
  }

  #spawn(): void {
    const child = spawn(this.#program, join(this.#directory, 'redis.conf'), this.#directory);
    this.#child = child;
    void child.then(async (result) => {
      this.#child = undefined;
      if (!this.#hasAnswered) this.#failure = endingOf(result);
      if (this.#isClosed || !this.#hasAnswered) return;
      this.#log.error({ exitCode: result.exitCode, signal: result.signal }, 'private redis stopped; starting it again');
      await pause(RESTART_WAIT_MS);
      if (!this.#isClosed) this.#spawn();
    });
  }

  async #answers(): Promise<boolean> {
    const redis = new Redis(this.#socket, {
      lazyConnect: true,
      retryStrategy: () => null,
      connectTimeout: 1_000,
      maxRetriesPerRequest: 0,
    });
    redis.on('error', () => {});
    try {
      await redis.connect();
      return (await redis.ping()) === 'PONG';
    } catch {
      return false;
    } finally {
      redis.disconnect();
    }
  }

  #settings(): string {
    return [
      'port 0',
      `unixsocket ${quoted(this.#socket)}`,
      'unixsocketperm 700',
      `dir ${quoted(this.#directory)}`,
      `logfile ${quoted(join(this.#directory, 'redis.log'))}`,
      'daemonize no',
      'appendonly yes',
      'appendfsync always',
      'save ""',
      'maxmemory 1gb',
      'maxmemory-policy noeviction',
      '',
    ].join('\n');
  }
}

const endingOf = ({
  exitCode,
  signal,
  code,
}: {
  exitCode?: number | undefined;
  signal?: string | undefined;
  code?: string | undefined;
}): string => {
  if (exitCode !== undefined) return `ended with exit code ${exitCode}`;
  return signal === undefined ? `could not be run (${code ?? 'unknown'})` : `was ended by ${signal}`;
};

/** Own process group: Ctrl-C in the terminal must not take Redis away from under a coordinator that is draining. */
const spawn = (program: string, settings: string, cwd: string) =>
  execa(program, [settings], { cwd, stdin: 'ignore', stdout: 'ignore', stderr: 'ignore', reject: false, detached: true });

/**
 * In the data directory, unless its path is too long for a unix socket (104 bytes on macOS, 108 on Linux): then in a directory of the
 * system's for temporary things, named after it and readable by its owner alone.
 */
const socketPath = (directory: string): string => {
  const path = join(directory, 'redis.sock');
  if (Buffer.byteLength(path) < 100) return path;
  const name = `lai-${createHash('sha256').update(directory).digest('hex').slice(0, 16)}`;
  const short = join(tmpdir(), name);
  mkdirSync(short, { recursive: true, mode: 0o700 });
  const { uid, mode } = statSync(short);
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0)
    throw new Error(`${short} is not ours alone; remove it, or choose a shorter LAI_DATA_DIR.`);
  return join(short, 'redis.sock');
};

const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** `redis-server` or its fork Valkey, or null. */
export const findRedisServer = (path: string): string | null => {
  for (const program of ['redis-server', 'valkey-server']) {
    for (const directory of path.split(delimiter)) {
      try {
        accessSync(join(directory, program), constants.X_OK);
        return join(directory, program);
      } catch {
        // not here
      }
    }
  }
  return null;
};
