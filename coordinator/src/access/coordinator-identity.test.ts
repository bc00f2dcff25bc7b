import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isSignedBy, signWith } from '@lai/shared/ed25519';
import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../store/database.ts';
import { coordinatorIdentity } from './coordinator-identity.ts';

it('a coordinator is the same one each time, and to all that share its database', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lai-identity-'));
  const file = path.join(folder, 'lai.db');
  const databases = [await openDatabase(file), await openDatabase(file)] as const;
  onTestFinished(async () => {
    await Promise.all(databases.map((db) => db.destroy()));
    rmSync(folder, { recursive: true });
  });
  const [a, b] = await Promise.all([coordinatorIdentity(databases[0]), coordinatorIdentity(databases[1])]);
  expect(a).toEqual(b);
  expect(await coordinatorIdentity(databases[0])).toEqual(a);
  const bytes = new TextEncoder().encode('hello');
  expect(await isSignedBy(a.publicKey, await signWith(b.privateKey, bytes), bytes)).toBe(true);
});
