import { execFile, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensurePostgres } from './postgres-programs.ts';

const READY_LIMIT_MS = 30_000;
const ADMIN = 'lai';

export interface Postgres {
  /** Makes an empty database and says where it is. */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * A real PostgreSQL in a folder and on a port of its own, without durability (tests do not pull the plug). Null, and loud about it,
 * where the machine has none. PostgreSQL refuses to run as root, so root gives the folder away and steps down.
 */
export const startPostgres = async (): Promise<Postgres | null> => {
  const found = await ensurePostgres();
  if ('missing' in found) {
    console.warn(`\n*** tests against PostgreSQL are LEFT OUT: ${found.missing} ***\n`);
    return null;
  }
  const owner = process.getuid?.() === 0 ? unprivileged() : null;
  const directory = mkdtempSync(join(tmpdir(), 'lai-pg-'));
  if (owner) chownSync(directory, owner.uid, owner.gid);
  const asOwner = (program: string, args: readonly string[]): [string, string[]] =>
    owner
      ? ['setpriv', [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', join(found.dir, program), ...args]]
      : [join(found.dir, program), [...args]];
  const data = join(directory, 'data');
  const [initdb, initArgs] = asOwner('initdb', ['-D', data, '-A', 'trust', '-U', ADMIN, '-E', 'UTF8', '--locale=C', '--no-sync']);
  execFileSync(initdb, initArgs, { cwd: directory, stdio: 'pipe' });

  const port = await freePort();
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off', 'max_connections=100'];
  const [program, args] = asOwner('postgres', ['-D', data, ...settings.flatMap((setting) => ['-c', setting])]);
  const child = spawn(program, args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await ready(child.stderr.setEncoding('utf8'), ended);
  let count = 0;
  return {
    createDatabase: async () => {
      count += 1;
      const [createdb, createArgs] = asOwner('createdb', ['-h', '127.0.0.1', '-p', String(port), '-U', ADMIN, `test_${count}`]);
      await promisify(execFile)(createdb, createArgs, { cwd: directory });
      return `postgres://${ADMIN}@127.0.0.1:${port}/test_${count}`;
    },
    stop: async () => {
      child.kill('SIGINT');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
};

const unprivileged = (): { uid: number; gid: number } => {
  const idOf = (name: string, what: '-u' | '-g') => Number(execFileSync('id', [what, name], { encoding: 'utf8', stdio: 'pipe' }));
  try {
    return { uid: idOf('postgres', '-u'), gid: idOf('postgres', '-g') };
  } catch {
    return { uid: idOf('nobody', '-u'), gid: idOf('nobody', '-g') };
  }
};

const ready = (log: NodeJS.ReadableStream, ended: Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`PostgreSQL took too long to start:\n${text}`)), READY_LIMIT_MS);
    const finish = (outcome: () => void) => {
      clearTimeout(timer);
      outcome();
    };
    log.on('data', (piece: string) => {
      text = (text + piece).slice(-20_000);
      if (text.includes('ready to accept connections')) finish(resolve);
    });
    void ended.then(() => finish(() => reject(new Error(`PostgreSQL did not start:\n${text}`))));
  });

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
