import { randomUUID } from 'node:crypto';
import { CodedError } from '@lai/shared/errors';
import { NewRollout, Rollout } from '@lai/shared/release-api';
import type { Logger } from 'pino';
import { type Actor, appendAudit } from '../access/audit.ts';
import type { Registry } from '../nodes/registry.ts';
import type { CommandLink } from '../nodes/running-command.ts';
import type { Database } from '../store/database.ts';
import { listNodes } from '../store/nodes.ts';
import { readSetting, replaceSetting } from '../store/settings.ts';
import type { Release, Releases } from './releases.ts';
import { ended, newEntry, nextStep, RolloutState, refused } from './rollout.ts';

const SETTING = 'rollout';
const STEP_MS = 1_000;
/** While nothing goes on here: another replica may have begun. */
const IDLE_MS = 5_000;
/** These say nothing about the node's will: what became of it shows in what it tells of itself. */
const UNKNOWN_ENDINGS = ['node_lost', 'accept_timeout'];

const OURSELVES: Actor = { name: 'rollout', origin: 'coordinator' };

/**
 * Brings versions through the fleet. The rollout is one row, and every replica may take its next step: whoever writes the new state over
 * the one that it has read is the one that tells the node. So a replica may die at any moment, and nobody is told twice at once.
 */
export class Rollouts {
  readonly #db: Database;
  readonly #registry: Pick<Registry<CommandLink>, 'list' | 'link'>;
  readonly #releases: Releases;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #stepping: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: {
    db: Database;
    registry: Pick<Registry<CommandLink>, 'list' | 'link'>;
    releases: Releases;
    log: Logger;
  }) {
    this.#db = options.db;
    this.#registry = options.registry;
    this.#releases = options.releases;
    this.#log = options.log;
    this.#schedule(STEP_MS);
  }

  async current(): Promise<Rollout | null> {
    const stored = await this.#read();
    return stored && Rollout.parse(stored.rollout);
  }

  /** Begins with the next step, a second later at most. One that only waits for machines that are away is replaced. */
  async start(actor: Actor, wish: NewRollout): Promise<Rollout> {
    const { version, isForced, parallel, first } = NewRollout.parse(wish);
    const release = await this.#releases.find(version ?? 'latest');
    if (!release) {
      const message = version === undefined ? 'There is no release of the agent here.' : `There is no release ${version} here.`;
      throw new CodedError('entry_not_found', { message: `${message} \`lai updates status\` says where they are looked for.` });
    }
    const members = (await listNodes(this.#db)).filter(({ state }) => state === 'approved');
    const named = first === undefined ? null : members.find(({ id, name }) => id === first || name === first);
    if (named === undefined) throw new CodedError('entry_not_found', { message: `There is no node ${first}.` });
    const stored = await this.#read();
    if (stored?.rollout.state === 'running' && stored.rollout.nodes.some(({ state }) => state === 'updating')) {
      const message = `Version ${stored.rollout.version} is on its way; \`lai updates stop\` ends that first.`;
      throw new CodedError('update_refused', { message });
    }
    const rollout: RolloutState = {
      ...{ id: randomUUID(), version: release.version, isForced, parallel, first: named?.id ?? null, state: 'running' },
      ...{ reason: null, startedBy: actor.name, startedAtMs: Date.now(), endedAtMs: null },
      nodes: members.map(({ id, name }) => newEntry(id, name)),
    };
    const detail = { isForced, parallel, nodes: members.length, ...(named ? { first: named.name } : {}) };
    if (!(await this.#write(stored?.text ?? null, rollout, [{ actor, action: 'rollout.start', detail }])))
      throw new CodedError('update_refused', { message: 'Somebody else has begun something at this moment.' });
    this.#log.info({ version: release.version, ...detail }, 'rollout begins');
    this.#schedule(0);
    return Rollout.parse(rollout);
  }

  /** What is being updated goes on; nobody further is told. */
  async stop(actor: Actor): Promise<Rollout> {
    for (;;) {
      const stored = await this.#read();
      if (stored?.rollout.state !== 'running')
        throw new CodedError('entry_not_found', { message: 'Nothing is being rolled out.' });
      const reason = `stopped by ${actor.name}`;
      const stopped = ended(stored.rollout, 'stopped', reason, Date.now());
      if (await this.#write(stored.text, stopped, [{ actor, action: 'rollout.stop', detail: { reason } }]))
        return Rollout.parse(stopped);
    }
  }

  /** A step that has begun is finished. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#stepping;
  }

  #schedule(inMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#stepping = this.#step().then(
        (isRunning) => this.#schedule(isRunning ? STEP_MS : IDLE_MS),
        (err: unknown) => {
          this.#log.warn({ err }, 'the rollout could not go on; trying again');
          this.#schedule(IDLE_MS);
        },
      );
    }, inMs);
  }

  /** False when there is nothing to do. */
  async #step(): Promise<boolean> {
    const stored = await this.#read();
    if (stored?.rollout.state !== 'running') return false;
    const { rollout: before, text } = stored;
    const release = await this.#releases.find(before.version);
    if (!release) {
      const reason = `version ${before.version} is not in ${this.#releases.dir} any more`;
      await this.#end(text, ended(before, 'stopped', reason, Date.now()));
      return false;
    }
    const members = new Set((await listNodes(this.#db)).filter(({ state }) => state === 'approved').map(({ id }) => id));
    const { rollout, asks } = nextStep(before, { records: this.#registry.list(), members }, release.manifest, Date.now());
    if (rollout.state !== 'running') return this.#end(text, rollout);
    const events = asks.map((nodeId) => ({
      actor: OURSELVES,
      action: 'node.update',
      object: nodeId,
      detail: { version: before.version },
    }));
    if (await this.#write(text, rollout, events)) for (const nodeId of asks) void this.#ask(nodeId, release, before.isForced);
    return true;
  }

  async #end(text: string, rollout: RolloutState): Promise<boolean> {
    const { version, state, reason, nodes } = rollout;
    const action = state === 'done' ? 'rollout.finish' : 'rollout.stop';
    if (!(await this.#write(text, rollout, [{ actor: OURSELVES, action, detail: reason === null ? {} : { reason } }])))
      return true;
    if (state === 'done') this.#log.info({ version, nodes: nodes.length }, 'rollout is done');
    else this.#log.error({ alert: 'rollout.stopped', version, reason }, 'rollout is stopped');
    return false;
  }

  /** A refusal ends the rollout; anything else shows in what the node tells of itself. */
  async #ask(nodeId: string, { version, signed }: Release, isForced: boolean): Promise<void> {
    this.#log.info({ nodeId, version }, 'node is to be updated');
    const end = await this.#registry.link(nodeId)?.command({ type: 'node.update', release: signed, isForced }).ending();
    if (end?.kind !== 'failed' || UNKNOWN_ENDINGS.includes(end.code)) return;
    const why = end.detail ?? end.code;
    for (;;) {
      const stored = await this.#read();
      if (stored?.rollout.version !== version) return;
      const rollout = refused(stored.rollout, nodeId, why, Date.now());
      if (rollout === stored.rollout || !(await this.#end(stored.text, rollout))) return;
    }
  }

  async #read(): Promise<{ readonly text: string; readonly rollout: RolloutState } | null> {
    const text = await readSetting(this.#db, SETTING);
    return text === null ? null : { text, rollout: RolloutState.parse(JSON.parse(text)) };
  }

  /** False when somebody else was faster: then nothing was written, and nobody may be told anything. */
  async #write(
    before: string | null,
    rollout: RolloutState,
    events: readonly { actor: Actor; action: string; object?: string; detail: Record<string, unknown> }[],
  ): Promise<boolean> {
    const after = JSON.stringify(rollout);
    if (after === before) return true;
    return this.#db.transaction().execute(async (trx) => {
      if (!(await replaceSetting(trx, SETTING, before, after))) return false;
      for (const { object = rollout.version, ...event } of events) await appendAudit(trx, { atMs: Date.now(), object, ...event });
      return true;
    });
  }
}
