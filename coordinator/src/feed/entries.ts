import type { NodeEntry } from '@lai/shared/admin-api';
import { nodeEntry } from '../access/views.ts';
import type { Database } from '../store/database.ts';
import { findNode, listAllNodes } from '../store/nodes.ts';

/** What is stored of every node, as it was read last. Single writer of that copy. */
export class Entries {
  readonly #db: Database;
  #entries = new Map<string, NodeEntry>();
  /** One read after the other, so that the newest is the last. */
  #reading: Promise<void> = Promise.resolve();

  constructor(db: Database) {
    this.#db = db;
  }

  get(nodeId: string): NodeEntry | undefined {
    return this.#entries.get(nodeId);
  }

  list(): NodeEntry[] {
    return [...this.#entries.values()];
  }

  /** Reads one node, or all of them. Fails when the database does; what was known stays. */
  read(nodeId?: string): Promise<void> {
    const reading = this.#reading.then(() => (nodeId === undefined ? this.#readAll() : this.#readOne(nodeId)));
    this.#reading = reading.catch(() => {});
    return reading;
  }

  async #readAll(): Promise<void> {
    const entries = await Promise.all((await listAllNodes(this.#db)).map(nodeEntry));
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]));
  }

  async #readOne(nodeId: string): Promise<void> {
    const row = await findNode(this.#db, nodeId);
    if (row) this.#entries.set(nodeId, await nodeEntry(row));
    else this.#entries.delete(nodeId);
  }
}
