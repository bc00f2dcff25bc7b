import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DisplayName } from '@lai/shared/admin-api';
import { generateIdentityKeys } from '@lai/shared/ed25519';
import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../store/database.ts';
import { listNodes } from '../store/nodes.ts';
import { admitNode } from './node-membership.ts';
import { freeName, isSameName } from './node-name.ts';
import { createRegistrationToken } from './registration-tokens.ts';
import { storeAdministration } from './store-administration.ts';

const NOW_MS = 1_795_241_344_000;
const name = fc.stringMatching(/^[A-Za-z0-9 ._-]{1,64}$/);

describe('freeName', () => {
  it.each([
    [[], 'attic'],
    [['desk'], 'attic'],
    [['attic'], 'attic-2'],
    [['attic', 'attic-2', 'attic-4'], 'attic-3'],
    [['ATTIC'], 'attic-2'],
  ])('beside %j calls attic %s', (taken, expected) => {
    expect(freeName('attic', taken)).toBe(expected);
  });

  it('is a name that may be used and that nobody has, however many of the longest were taken before', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(name, fc.constantFrom('a', 'A', 'x'.repeat(64), 'x'.repeat(63))), { maxLength: 40 }),
        (wishes) => {
          const taken: string[] = [];
          for (const wish of wishes) {
            const free = freeName(wish, taken);
            expect(DisplayName.safeParse(free).success).toBe(true);
            expect(taken.some((other) => isSameName(other, free))).toBe(false);
            taken.push(free);
          }
        },
      ),
    );
  });
});

describe('names of nodes', () => {
  const fleet = async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'lai-names-'));
    const db = await openDatabase(path.join(folder, 'lai.db'));
    onTestFinished(async () => {
      await db.destroy();
      rmSync(folder, { recursive: true });
    });
    const context = {
      db,
      coordinatorKey: (await generateIdentityKeys()).publicKey,
      log: pino({ level: 'silent' }),
      announce: () => {},
    };
    const join = async (wanted: string) => {
      const { token } = await createRegistrationToken(db, { nowMs: NOW_MS, coordinatorFingerprint: 'f0'.repeat(16) });
      const { publicKey } = await generateIdentityKeys();
      const visit = { address: '127.0.0.1', nowMs: NOW_MS };
      const admitted = await admitNode({ token, name: wanted, publicKey }, visit, context);
      if (!admitted) throw new Error('not admitted');
      return admitted;
    };
    return { db, join, administration: storeAdministration(context, { name: 'anna', origin: '' }) };
  };

  it('stay different when machines that are called the same join at one moment', async () => {
    const { db, join } = await fleet();
    const answers = await Promise.all(Array.from({ length: 5 }, () => join('attic')));
    const names = ['attic', 'attic-2', 'attic-3', 'attic-4', 'attic-5'];
    expect(answers.map((answer) => answer.name).sort()).toEqual(names);
    expect((await listNodes(db)).map((node) => node.name).sort()).toEqual(names);
  });

  it('are free again when a node is revoked or removed', async () => {
    const { join, administration } = await fleet();
    const [first, second] = [await join('attic'), await join('desk')];
    await administration.revokeNode(first.nodeId);
    await administration.removeNode(second.nodeId);
    expect([(await join('attic')).name, (await join('desk')).name]).toEqual(['attic', 'desk']);
  });

  it('are not given to a second node, and the refusal names who has it', async () => {
    const { db, join, administration } = await fleet();
    const [first, second] = [await join('attic'), await join('desk')];
    for (const used of ['attic', 'Attic'])
      await expect(administration.changeNode(second.nodeId, { name: used })).rejects.toMatchObject({
        code: 'invalid_value',
        message: expect.stringContaining(first.nodeId),
      });
    expect((await listNodes(db)).map((node) => node.name).sort()).toEqual(['attic', 'desk']);
    await administration.changeNode(first.nodeId, { name: 'Attic' });
    expect((await administration.changeNode(second.nodeId, { name: 'desk', group: 'upstairs' })).group).toBe('upstairs');
  });
});
