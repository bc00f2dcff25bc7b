import { NodeDesired } from '@lai/shared/node';
import type { Database, NewNodeRow, NodeRow, NodeState, Transport } from './tables.ts';

export type { NodeRow, NodeState, Transport } from './tables.ts';

/** What operators want of a node. */
export const desiredOf = ({ desired }: Pick<NodeRow, 'desired'>): NodeDesired =>
  desired === null ? { generation: 0, isDraining: false, pinnedModels: [] } : NodeDesired.parse(JSON.parse(desired));

export const insertNode = async (db: Database, row: NewNodeRow): Promise<void> => {
  await db.insertInto('nodes').values(row).execute();
};

export const findNode = (db: Database, id: string): Promise<NodeRow | undefined> =>
  db.selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirst();

export const findNodeByKey = (db: Database, publicKey: string): Promise<NodeRow | undefined> =>
  db.selectFrom('nodes').selectAll().where('public_key', '=', publicKey).executeTakeFirst();

export const listNodes = (db: Database): Promise<NodeRow[]> =>
  db.selectFrom('nodes').selectAll().where('revoked_at_ms', 'is', null).orderBy('created_at_ms').orderBy('id').execute();

/** With those that were revoked. */
export const listAllNodes = (db: Database): Promise<NodeRow[]> =>
  db.selectFrom('nodes').selectAll().orderBy('created_at_ms').orderBy('id').execute();

/** Moves a node from one of the states to another; false when it is in none of them. */
export const moveNode = async (
  db: Database,
  id: string,
  move: { from: readonly NodeState[]; to: NodeState; reason: string | null; nowMs: number; forgetGeneration?: boolean },
): Promise<boolean> => {
  const result = await db
    .updateTable('nodes')
    .set({
      state: move.to,
      state_reason: move.reason,
      revoked_at_ms: move.to === 'revoked' ? move.nowMs : null,
      ...(move.forgetGeneration ? { generation: -1, is_generation_confirmed: 1 } : {}),
    })
    .where('id', '=', id)
    .where('state', 'in', move.from)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
};

export const updateNode = async (
  db: Database,
  id: string,
  change: Pick<NodeRow, 'name' | 'node_group' | 'desired'>,
): Promise<void> => {
  await db.updateTable('nodes').set(change).where('id', '=', id).execute();
};

export const deleteNode = async (db: Database, id: string): Promise<boolean> =>
  (await db.deleteFrom('nodes').where('id', '=', id).executeTakeFirst()).numDeletedRows > 0n;

/** Replaces the key, unless another connection was faster. */
export const replaceNodeKey = async (db: Database, id: string, keys: { from: string; to: string }): Promise<boolean> => {
  const result = await db
    .updateTable('nodes')
    .set({ public_key: keys.to })
    .where('id', '=', id)
    .where('public_key', '=', keys.from)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
};

export interface Visit {
  readonly atMs: number;
  readonly address: string;
  readonly transport: Transport;
}

/**
 * Counts the node's connection, and notes when and from where it was, if it showed the count it was given last. False: it showed another one, so two machines use this
 * identity, or a copy of it came back. The count before the last is forgiven only as long as the node has not confirmed that it kept
 * the last one (it may have died before); without that condition two machines could take turns unnoticed.
 */
export const advanceGeneration = async (db: Database, id: string, shown: number, visit?: Visit): Promise<number | false> => {
  // In one write: each waits for the disk, and after a power cut all machines come at once.
  const seen = visit && {
    ...{ last_connected_at_ms: visit.atMs, last_address: visit.address, last_transport: visit.transport },
  };
  const result = await db
    .updateTable('nodes')
    .set({ generation: shown + 1, is_generation_confirmed: 0, ...seen })
    .where('id', '=', id)
    .where((where) =>
      where.or([
        where('generation', '=', shown),
        where('generation', '=', -1),
        where.and([where('generation', '=', shown + 1), where('is_generation_confirmed', '=', 0)]),
      ]),
    )
    .executeTakeFirst();
  return result.numUpdatedRows > 0n && shown + 1;
};

/** The node has kept the count: from now on it must show this one. */
export const confirmGeneration = async (db: Database, id: string, generation: number): Promise<void> => {
  await db
    .updateTable('nodes')
    .set({ is_generation_confirmed: 1 })
    .where('id', '=', id)
    .where('generation', '=', generation)
    .execute();
};
