import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { platform, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { execa } from 'execa';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { type DataDirOwner, ownDataDir } from './data-dir-owner.ts';
import {
  AOF_DIRECTORY,
  aofFiles,
  isDiskFull,
  isManifestGone,
  logTail,
  REPAIR_ADVICE,
  type Trouble,
  troubleIn,
} from './stored-file.ts';

const START_LIMIT_MS = 15_000;
const STOP_GRACE_MS = 10_000;
/** Waits between two starts: doubled each time, from the first to the last, until one has lasted. */
const RESTART_MS = { first: 200, last: 5_000 } as const;
/** A Redis that has run for so long was started well; until then the coordinator is not ready. */
const STEADY_MS = 2_000;
const WATCH_MS = 1_000;

/**
 * A private redis-server on a unix socket (no port that others on the machine could reach), supervised: started, adopted when one of
 * ours survived us, started again when it dies, stopped last. One coordinator per data directory: see data-dir-owner.ts. Single writer
 * of its child.
 *
 *   starting ──answers──► up ──process gone──► waiting ──backoff, disk has room──► starting
 *      └── file damaged: named, not started over and over (start) or tried again in 5 s (later)
 *
 * `appendfsync always`: with `everysec` a plain kill -9 lost acknowledged writes (measured: 235 in 20 rounds; `always`: none in 10).
 * `noeviction`: a full Redis must refuse, not forget.
 */
export class EmbeddedRedis {
  readonly url: string;
  readonly #directory: string;
  readonly #socket: string;
  readonly #program: string;
  readonly #address: string;
  readonly #log: Logger;
  #owner: DataDirOwner | undefined;
  #child: ReturnType<typeof spawn> | undefined;
  /** Of a process that is not our child: one that a coordinator before us had started. */
  #adoptedPid: number | null = null;
  #watchTimer: NodeJS.Timeout | undefined;
  #startedAtMs = 0;
  #restartMs: number = RESTART_MS.first;
  #isClosed = false;
  #hasAnswered = false;
  /** How the process ended before it has answered once; null while it may still come up. */
  #failure: string | null = null;

  /** `address`: where the coordinator can be reached, for the sentence that refuses a second one. */
  constructor(options: { dataDir: string; program: string; address: string; log: Logger }) {
    this.#directory = join(options.dataDir, 'redis');
    this.#socket = socketPath(this.#directory);
    this.#program = options.program;
    this.#address = options.address;
    this.#log = options.log;
    this.url = `unix://${this.#socket}`;
  }

  /** False while the process is gone or has only just been started: it may be about to end again. */
  get isSteady(): boolean {
    const isThere = this.#child !== undefined || this.#adoptedPid !== null;
    return isThere && (this.#restartMs === RESTART_MS.first || performance.now() - this.#startedAtMs >= STEADY_MS);
  }

  /** Throws an Error for people: another coordinator owns the directory, the stored file is damaged, or nothing answers. */
  async start(): Promise<void> {
    this.#owner = ownDataDir(this.#directory, this.#address);
    try {
      await this.#startOwned();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #startOwned(): Promise<void> {
    const pid = await this.#runningPid();
    if (pid !== null) {
      this.#hasAnswered = true;
      this.#log.info({ pid }, 'using the private redis that is still running');
      this.#adopt(pid);
      return;
    }
    if (isManifestGone(this.#directory))
      throw new Error(
        `${join(this.#directory, AOF_DIRECTORY)} has files, and the list that names them is gone. ${REPAIR_ADVICE}`,
      );
    const conf = join(this.#directory, 'redis.conf');
    if (existsSync(conf) && aofFiles(this.#directory).length === 0)
      this.#log.error(
        { directory: this.#directory },
        'the private redis has lost its files; it begins empty, without the jobs of before',
      );
    writeFileSync(conf, this.#settings(), { mode: 0o600 });
    this.#spawn();
    const deadline = performance.now() + START_LIMIT_MS;
    while (!(await this.#answers())) {
      const trouble = this.#failure && this.#trouble();
      if (trouble) throw new Error(`The private Redis cannot be started. ${trouble.sentence}`);
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

  /** Saves and stops, also when the process was adopted. Does nothing to a Redis that another coordinator owns. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#watchTimer);
    if (!this.#owner) return;
    const redis = new Redis(this.#socket, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    redis.on('error', () => {});
    await redis
      .connect()
      .then(() => redis.shutdown())
      .catch(() => {});
    redis.disconnect();
    const child = this.#child;
    if (child) {
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await child;
      clearTimeout(force);
    }
    this.#owner.release();
    this.#owner = undefined;
  }

  #spawn(): void {
    if (this.#isClosed) return;
    if (isDiskFull(this.#directory)) {
      this.#log.warn({ directory: this.#directory }, 'the disk is full: the private redis is started when there is room');
      this.#spawnLater();
      return;
    }
    this.#startedAtMs = performance.now();
    const child = spawn(this.#program, join(this.#directory, 'redis.conf'), this.#directory);
    this.#child = child;
    void child.then((result) => {
      this.#child = undefined;
      if (!this.#hasAnswered) this.#failure = endingOf(result);
      if (this.#isClosed || !this.#hasAnswered) return;
      const reason = this.#trouble()?.sentence ?? 'see redis.log';
      this.#log.error({ exitCode: result.exitCode, signal: result.signal, reason }, 'private redis stopped; starting it again');
      this.#gone();
    });
  }

  /** Its process has ended. What had lasted is started at once, what had not a little later each time. */
  #gone(): void {
    if (performance.now() - this.#startedAtMs >= 5 * STEADY_MS) this.#restartMs = RESTART_MS.first;
    this.#spawnLater();
  }

  #spawnLater(): void {
    const waitMs = this.#restartMs;
    this.#restartMs = Math.min(RESTART_MS.last, 2 * waitMs);
    this.#watchTimer = setTimeout(() => this.#spawn(), waitMs);
  }

  /** Nobody tells us when a process ends that is not our child. One that stands still has not ended: two on one file would destroy it. */
  #adopt(pid: number): void {
    this.#adoptedPid = pid;
    this.#startedAtMs = performance.now();
    const watch = () => {
      if (this.#isClosed) return;
      if (isAlive(pid)) {
        this.#watchTimer = setTimeout(watch, WATCH_MS);
        return;
      }
      this.#adoptedPid = null;
      this.#log.error({ pid }, 'private redis stopped; starting it again');
      this.#gone();
    };
    this.#watchTimer = setTimeout(watch, WATCH_MS);
  }

  #trouble(): Trouble | null {
    return troubleIn(logTail(join(this.#directory, 'redis.log')));
  }

  async #runningPid(): Promise<number | null> {
    return this.#ask(async (redis) => Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1] ?? Number.NaN));
  }

  async #answers(): Promise<boolean> {
    return (await this.#ask(() => Promise.resolve(true))) === true;
  }

  async #ask<T>(question: (redis: Redis) => Promise<T>): Promise<T | null> {
    const redis = new Redis(this.#socket, {
      lazyConnect: true,
      retryStrategy: () => null,
      connectTimeout: 1_000,
      maxRetriesPerRequest: 0,
    });
    redis.on('error', () => {});
    try {
      await redis.connect();
      return (await redis.ping()) === 'PONG' ? await question(redis) : null;
    } catch {
      return null;
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

/** A process that has ended stays in the list until its parent has read how, and some containers have a parent that never does. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return platform() !== 'linux' || !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
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
