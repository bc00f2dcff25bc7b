import type { Logger } from 'pino';
import type { Database } from '../store/database.ts';
import { listNodes } from '../store/nodes.ts';

/** Another replica's change of a group is heard of; should that be lost, it is read here. */
const READ_MS = 15_000;

/** Groups that operators put nodes in, by node id. Single writer of this copy of what is stored. */
export class NodeGroups {
  readonly #db: Database;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #groups: ReadonlyMap<string, string> = new Map();

  constructor(options: { db: Database; log: Logger }) {
    this.#db = options.db;
    this.#log = options.log;
    this.#timer = setInterval(() => void this.read(), READ_MS);
    this.#timer.unref();
  }

  get current(): ReadonlyMap<string, string> {
    return this.#groups;
  }

  /** What was known stays when the database cannot be read. */
  async read(): Promise<void> {
    try {
      this.#groups = new Map((await listNodes(this.#db)).map((node) => [node.id, node.node_group]));
    } catch (err) {
      this.#log.warn({ err }, 'groups of nodes not read; trying again');
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
