import type { ServerResponse } from 'node:http';
import { CodedError } from '@lai/shared/errors';
import type { ChangedList, CommandView, FleetCounts, FleetNode, ModelMatrix } from '@lai/shared/fleet-api';
import type { Logger } from 'pino';
import type { Revocation } from '../access/revocations.ts';
import type { NodeRecord, Registry } from '../nodes/registry.ts';
import type { Database } from '../store/database.ts';
import { Entries } from './entries.ts';
import { catalogOf, fleetNode, modelMatrix, withoutReadings } from './fleet-node.ts';
import { Listeners, sse, sseOf } from './listeners.ts';

/** A node is told of at most so often. */
const BATCH_MS = 250;
/** In a large fleet new readings alone wait so long; a new state never does. */
const READINGS_MS = 1_000;
const LARGE_FLEET = 50;
const COUNTS_MS = 1_000;
const BEAT_MS = 5_000;
/** News of a change can be lost; what is stored is read again this often while somebody watches. */
const READ_MS = 15_000;

export interface FeedOptions {
  readonly db: Database;
  readonly registry: Pick<Registry, 'list' | 'record' | 'awaySinceMs' | 'onChange'>;
  readonly counts: () => FleetCounts;
  readonly commands: { list(): CommandView[]; onChange(listener: (view: CommandView) => void): () => void };
  readonly version: string;
  readonly replicaId: string;
  readonly log: Logger;
  readonly nowMs?: () => number;
}

/** What was told of a node last. */
interface Told {
  readonly json: string;
  /** The same without its readings. */
  readonly calm: string;
  readonly catalog: string;
  readonly atMs: number;
}

const LISTS: Record<Revocation['kind'], ChangedList> = { key: 'keys', node: 'nodes', session: 'users', token: 'tokens' };

/**
 * Tells whoever watches what the fleet is, and every change of it. What changed is put into words once, however many listen, and nobody
 * listening costs nothing. Single writer of what was told.
 */
export class Feed {
  readonly #options: FeedOptions;
  readonly #entries: Entries;
  readonly #listeners = new Listeners();
  readonly #told = new Map<string, Told>();
  readonly #dirty = new Set<string>();
  readonly #stops: (() => void)[];
  #flushTimer: NodeJS.Timeout | null = null;
  #counts = '';
  #isClosed = false;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#entries = new Entries(options.db);
    const timers = [
      setInterval(() => this.#tellCounts(), COUNTS_MS),
      setInterval(() => this.#listeners.say(sseOf('beat', { serverTimeMs: this.#now() })), BEAT_MS),
      setInterval(() => this.#listeners.size > 0 && this.#read(), READ_MS),
    ];
    this.#stops = [
      options.registry.onChange((nodeId) => this.#changed(nodeId)),
      options.commands.onChange((view) => this.#listeners.say(sseOf('command', view))),
      ...timers.map((timer) => () => clearInterval(timer)),
    ];
  }

  /** Tells one more, until its connection or its right ends. Throws CodedError when there are too many. */
  async watch(response: ServerResponse, credential: string, revoked: AbortSignal): Promise<void> {
    await this.#prepare();
    if (this.#isClosed) throw new CodedError('shutting_down', { retryAfterSeconds: 2 });
    if (revoked.aborted || response.destroyed) return;
    const { version, replicaId } = this.#options;
    const hello = sseOf('hello', { serverTimeMs: this.#now(), version, replicaId });
    this.#listeners.add(response, credential, hello + sse('fleet', this.#level()));
    revoked.addEventListener('abort', () => this.#listeners.end(response, 'right_ended'), { once: true });
  }

  /** Everything, as JSON of a FleetLevel. */
  async level(): Promise<string> {
    await this.#prepare();
    return this.#level();
  }

  /** One node now; undefined when there is none. */
  async node(nodeId: string): Promise<{ node: FleetNode; record: NodeRecord | null } | undefined> {
    await this.#entries.read(nodeId);
    const node = this.#nodeOf(nodeId);
    return node && { node, record: this.#options.registry.record(nodeId) };
  }

  async matrix(): Promise<ModelMatrix> {
    if (this.#listeners.size === 0) await this.#entries.read();
    const known = this.#options.registry.list().filter(({ nodeId }) => this.#isMember(nodeId));
    return modelMatrix(known, ({ nodeId, snapshot }) => this.#entries.get(nodeId)?.name ?? snapshot.name);
  }

  /** Something that is stored has changed. */
  hear(news: Revocation | 'everything'): void {
    if (this.#listeners.size === 0) return;
    const kinds = news === 'everything' ? (Object.keys(LISTS) as Revocation['kind'][]) : [news.kind];
    for (const kind of kinds) this.#listeners.say(sseOf('changed', { what: LISTS[kind] }));
    if (news === 'everything') this.#read();
    else if (news.kind === 'node') this.#read(news.id);
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    if (this.#flushTimer) clearTimeout(this.#flushTimer);
    this.#listeners.close();
  }

  /** While nobody watches, nothing is kept up to date. */
  async #prepare(): Promise<void> {
    if (this.#listeners.size > 0) return;
    await this.#entries.read();
    if (this.#listeners.size === 0) this.#told.clear();
  }

  #level(): string {
    this.#listeners.say(this.#tellNodes(this.#allIds()));
    const { counts, commands, version } = this.#options;
    const rest = JSON.stringify({ serverTimeMs: this.#now(), version, counts: counts(), commands: commands.list() });
    return `${rest.slice(0, -1)},"nodes":[${[...this.#told.values()].map(({ json }) => json).join(',')}]}`;
  }

  #now(): number {
    return (this.#options.nowMs ?? Date.now)();
  }

  #allIds(): string[] {
    return this.#entries.list().map(({ id }) => id);
  }

  #isMember(nodeId: string): boolean {
    const state = this.#entries.get(nodeId)?.state;
    return state !== undefined && state !== 'revoked';
  }

  #nodeOf(nodeId: string): FleetNode | undefined {
    const entry = this.#entries.get(nodeId);
    const { registry } = this.#options;
    return entry && fleetNode(entry, registry.record(nodeId), registry.awaySinceMs(nodeId));
  }

  #read(nodeId?: string): void {
    this.#entries.read(nodeId).then(
      () => this.#changed(nodeId),
      (err: unknown) => this.#options.log.debug({ err }, 'nodes not read for the feed; trying again soon'),
    );
  }

  #changed(nodeId?: string): void {
    if (this.#listeners.size === 0 || this.#isClosed) return;
    for (const id of nodeId === undefined ? [...this.#allIds(), ...this.#told.keys()] : [nodeId]) this.#dirty.add(id);
    this.#flushTimer ??= setTimeout(() => this.#flush(), BATCH_MS);
  }

  #flush(): void {
    this.#flushTimer = null;
    const ids = [...this.#dirty];
    this.#dirty.clear();
    this.#listeners.say(this.#tellNodes(ids));
    if (this.#dirty.size > 0) this.#flushTimer ??= setTimeout(() => this.#flush(), BATCH_MS);
  }

  /** In words, what is new of these nodes. What may wait stays dirty. */
  #tellNodes(ids: readonly string[]): string {
    const nowMs = this.#now();
    const isLarge = this.#told.size > LARGE_FLEET;
    let text = '';
    let hasNewCatalog = false;
    for (const nodeId of ids) {
      const node = this.#nodeOf(nodeId);
      const before = this.#told.get(nodeId);
      if (!node) {
        if (this.#told.delete(nodeId)) text += sseOf('node.gone', { nodeId });
        continue;
      }
      const json = JSON.stringify(node);
      if (json === before?.json) continue;
      const calm = JSON.stringify(withoutReadings(node));
      if (isLarge && before && calm === before.calm && nowMs - before.atMs < READINGS_MS) {
        this.#dirty.add(nodeId);
        continue;
      }
      const record = this.#options.registry.record(nodeId);
      const catalog = record ? catalogOf(record) : '';
      hasNewCatalog ||= before !== undefined && catalog !== before.catalog;
      this.#told.set(nodeId, { json, calm, catalog, atMs: nowMs });
      text += sse('node', json);
    }
    return hasNewCatalog ? text + sseOf('changed', { what: 'models' }) : text;
  }

  #tellCounts(): void {
    if (this.#listeners.size === 0) return;
    const counts = JSON.stringify(this.#options.counts());
    if (counts !== this.#counts) this.#listeners.say(sse('counts', counts));
    this.#counts = counts;
  }
}
