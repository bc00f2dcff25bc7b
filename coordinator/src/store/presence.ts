import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import type { DatabasePlace } from './database.ts';

/**
 * Who uses the database right now. Every coordinator holds a shared lock for as long as it runs; whoever wants to replace everything
 * takes it alone or not at all. The operating system (SQLite) or the server (PostgreSQL) drops the lock of a process that dies.
 */
const LOCK_ID = 5_240_1954;
const LOOK_MS = 5_000;

export interface Presence {
  release(): Promise<void>;
}

/** Null while somebody holds it alone: a restore is under way. */
export const joinUsers = (place: DatabasePlace): Promise<Presence | null> =>
  place.kind === 'sqlite' ? lockFile(place.file, 'shared') : lockServer(place.url, 'shared');

/** Null while a coordinator runs on this database. */
export const claimAlone = (place: DatabasePlace): Promise<Presence | null> =>
  place.kind === 'sqlite' ? lockFile(place.file, 'alone') : lockServer(place.url, 'alone');

/** A second, empty database whose read and write locks are ours to use: a lock that works alike on every system. */
const lockFile = async (file: string, way: 'shared' | 'alone'): Promise<Presence | null> => {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const lock = new DatabaseSync(`${file}.lock`);
  try {
    lock.exec(way === 'alone' ? 'begin exclusive' : 'begin; select count(*) from sqlite_master;');
  } catch (error) {
    lock.close();
    if (/database is locked/.test(String(error))) return null;
    throw error;
  }
  return { release: async () => lock.close() };
};

const lockServer = async (url: string, way: 'shared' | 'alone'): Promise<Presence | null> => {
  const holder = await lockConnection(url, way);
  if (!holder) return null;
  if (way === 'alone') return { release: () => holder.end() };
  let current: Client | null = holder;
  let isReleased = false;
  // The lock lives as long as its connection, so a broken one is replaced.
  const timer = setInterval(() => {
    current?.query('select 1').catch(() => {
      const broken = current;
      current = null;
      broken?.end().catch(() => {});
    });
    if (current) return;
    void lockConnection(url, way).then(
      (next) => {
        if (isReleased || current) next?.end().catch(() => {});
        else current = next;
      },
      () => {},
    );
  }, LOOK_MS);
  timer.unref();
  return {
    release: async () => {
      isReleased = true;
      clearInterval(timer);
      await current?.end().catch(() => {});
    },
  };
};

const lockConnection = async (url: string, way: 'shared' | 'alone'): Promise<Client | null> => {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: LOOK_MS, application_name: 'lai presence' });
  client.on('error', () => {});
  await client.connect();
  const question = way === 'alone' ? 'pg_try_advisory_lock' : 'pg_try_advisory_lock_shared';
  const { rows } = await client.query<{ held: boolean }>(`select ${question}(${LOCK_ID}) as held`);
  if (rows[0]?.held) return client;
  await client.end();
  return null;
};
