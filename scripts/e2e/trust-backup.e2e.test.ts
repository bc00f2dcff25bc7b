import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { IssuedKey, KeyView } from '../../shared/src/admin-api.ts';
import { Fleet } from './fleet.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { Program } from './program.ts';
import { readStream } from './stream.ts';

const LAI = join(import.meta.dirname, '..', '..', 'coordinator', 'dist', 'lai.js');
const MODEL = 'story:1b';

const postgres: Postgres | null = await startPostgres();
afterAll(() => postgres?.stop());

describe.each([
  ['SQLite', async () => ({}) as Record<string, string>],
  ['PostgreSQL', async () => ({ DATABASE_URL: (await postgres?.createDatabase()) ?? '' })],
])('a backup taken under load on %s', (kind, database) => {
  it.skipIf(kind === 'PostgreSQL' && postgres === null)('restores to a coordinator that works', async () => {
    const fleet = await Fleet.start({
      nodes: [
        { name: 'attic', models: `${MODEL}=0.1GB,slots=4,tps=400,caps=chat`, tuning: { prefillMs: 5, coldLoadMsPerGb: 0 } },
      ],
      env: await database(),
    });
    try {
      const lai = (...args: string[]): Program => new Program('lai', [LAI, ...args], fleet.env);
      const keys = async (): Promise<KeyView[]> => JSON.parse(await lai('keys', 'list', '--json').output());
      const create = async (name: string): Promise<string> =>
        (JSON.parse(await lai('keys', 'create', name, '--json').output()) as IssuedKey).key;
      const chat = async (key: string) =>
        readStream(
          await fleet.chat(
            { model: MODEL, stream: true, max_tokens: 20, messages: [{ role: 'user', content: `Hi ${Math.random()}` }] },
            { headers: { authorization: `Bearer ${key}` } },
          ),
        );
      const before = await create('before');
      const [identity] = await Promise.all([keys(), fleet.warmUp(MODEL)]);

      // Requests run, keys are made and revoked, and meanwhile the backup is taken.
      let isDone = false;
      const failures: unknown[] = [];
      const load = Array.from({ length: 4 }, async () => {
        while (!isDone) {
          const { isDone: isAnswered, errors } = await chat(before);
          if (!isAnswered || errors.length > 0) failures.push(errors);
        }
      });
      const churn = (async () => {
        for (let at = 0; !isDone; at += 1) {
          const response = await fetch(`${fleet.url}/api/v1/keys`, {
            method: 'POST',
            headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
            body: JSON.stringify({ name: `churn ${at}` }),
          });
          if (!response.ok) failures.push(await response.text());
        }
      })();
      const file = join(fleet.directory, 'fleet.backup');
      for (let round = 0; round < 3; round += 1) expect(await lai('backup', file).output()).toMatch(/rows/);
      isDone = true;
      await Promise.all([...load, churn]);
      expect(failures).toEqual([]);
      if (process.platform !== 'win32') expect((statSync(file).mode & 0o777).toString(8)).toBe('600');

      // Not over a running coordinator, whatever is asked for.
      const tooEarly = lai('restore', file, '--replace');
      expect(await tooEarly.exited).toBe(1);
      expect(tooEarly.text).toContain('A coordinator is running');
      expect((await chat(before)).isDone).toBe(true);

      // The machine is lost: nothing but the file is left.
      fleet.coordinator.kill('SIGKILL');
      await fleet.coordinator.exited;
      if (kind === 'SQLite')
        for (const ending of ['', '-wal', '-shm']) rmSync(join(fleet.dataDir, `lai.sqlite${ending}`), { force: true });
      rmSync(join(fleet.dataDir, 'payload.key'), { force: true });
      expect(await lai('restore', file, ...(kind === 'PostgreSQL' ? ['--replace'] : [])).output()).toMatch(/are back/);
      await fleet.restartCoordinator();
      expect(existsSync(join(fleet.dataDir, 'payload.key'))).toBe(true);

      // The node comes back by itself, with the count it has now, and the keys are those they were.
      await fleet.until('the node is back', ({ nodes }) => nodes.some(({ liveness }) => liveness === 'alive'));
      expect((await chat(before)).isDone).toBe(true);
      const now = await keys();
      expect(now.map(({ id }) => id)).toEqual(expect.arrayContaining(identity.map(({ id }) => id)));
      expect(now.filter(({ name }) => name.startsWith('churn')).length).toBeGreaterThan(0);
      expect(await lai('audit', 'verify').output()).toContain('intact');
    } finally {
      await fleet.stop();
    }
  });
});
