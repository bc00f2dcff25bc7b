import { sameModel } from '@lai/shared/model-name';
import { compareVersions, type ReleaseManifest } from '@lai/shared/release';
import { Rollout, RolloutNode } from '@lai/shared/release-api';
import { z } from 'zod';
import type { NodeRecord } from '../nodes/registry.ts';

/**
 * How a version goes through a fleet. Pure. Per node:
 *
 *   waiting ──asked──► updating ──connected as that version, trial over, models back──► done
 *      │                  │ ▲
 *      │                  │ └─asked again: nobody knows what became of the first time
 *      ├─► skipped        ├─► failed: refused, taken back, not back, without its models
 *      │   (cannot,       │
 *      │    may not)      ▼
 *      └─► failed      the rollout stops
 *
 * What a node says of itself decides, not what it answered: a coordinator that starts again in between goes on from the same state.
 */
const Entry = RolloutNode.extend({
  /** The agent process that was asked; another one has started since when it differs. */
  instanceId: z.string().nullable(),
  firstAskedAtMs: z.number().nullable(),
  askedAtMs: z.number().nullable(),
  asks: z.number().int(),
  awaySinceMs: z.number().nullable(),
  /** Connected as the new version since. */
  backSinceMs: z.number().nullable(),
  hadModels: z.boolean(),
});
export type Entry = z.infer<typeof Entry>;

/** `first`: id of the node that was named to go first. */
export const RolloutState = Rollout.extend({ nodes: z.array(Entry), first: z.string().nullable() });
export type RolloutState = z.infer<typeof RolloutState>;

/** What an agent may need: downloading a runtime over a slow line, letting answers finish, its trial. */
const TOTAL_LIMIT_MS = 45 * 60_000;
/** Its trial (a minute), and the start of the version before. */
const AWAY_LIMIT_MS = 5 * 60_000;
const MODELS_LIMIT_MS = 3 * 60_000;
const ASK_AGAIN_MS = 60_000;
const MAX_ASKS = 3;
/** Machines that are switched off meanwhile get their turn when they come back within this. */
const WAIT_LIMIT_MS = 7 * 24 * 60 * 60_000;
/** What an agent says while it is at it. */
const AT_IT = ['downloading', 'draining', 'restarting', 'trial'];

export interface Fleet {
  readonly records: readonly NodeRecord[];
  /** Ids of the nodes that belong to the fleet. */
  readonly members: ReadonlySet<string>;
}

export interface Step {
  readonly rollout: RolloutState;
  /** Nodes to be told now, after the new state is written. */
  readonly asks: readonly string[];
}

export const newEntry = (nodeId: string, name: string): Entry => ({
  ...({ nodeId, name, state: 'waiting', from: null, detail: null, instanceId: null } as const),
  ...{ firstAskedAtMs: null, askedAtMs: null, asks: 0, awaySinceMs: null, backSinceMs: null, hadModels: false },
});

export const nextStep = (rollout: RolloutState, fleet: Fleet, manifest: ReleaseManifest, nowMs: number): Step => {
  if (rollout.state !== 'running') return { rollout, asks: [] };
  const recordOf = new Map(fleet.records.map((record) => [record.nodeId, record]));
  const nodes = rollout.nodes.map((entry) =>
    judge(entry, { record: recordOf.get(entry.nodeId), isMember: fleet.members.has(entry.nodeId), rollout, manifest, nowMs }),
  );
  const judged = { ...rollout, nodes };
  const failed = nodes.find(({ state }) => state === 'failed');
  if (failed) return { rollout: ended(judged, 'stopped', `${failed.name}: ${failed.detail}`, nowMs), asks: [] };
  if (!nodes.some(({ state }) => state === 'waiting' || state === 'updating'))
    return { rollout: ended(judged, 'done', null, nowMs), asks: [] };

  const again = nodes.filter((entry) => isToBeAskedAgain(entry, recordOf.get(entry.nodeId), rollout.version, nowMs));
  const turns = [...again.map(({ nodeId }) => nodeId), ...nextTurns(judged, fleet)];
  return {
    rollout: { ...judged, nodes: nodes.map((entry) => (turns.includes(entry.nodeId) ? asked(entry, recordOf, nowMs) : entry)) },
    asks: turns,
  };
};

/** The answer to the question itself, when it was a no. */
export const refused = (rollout: RolloutState, nodeId: string, why: string, nowMs: number): RolloutState => {
  const entry = rollout.nodes.find((node) => node.nodeId === nodeId);
  if (rollout.state !== 'running' || entry?.state !== 'updating') return rollout;
  const failed = { ...entry, state: 'failed' as const, detail: why };
  const nodes = rollout.nodes.map((node) => (node === entry ? failed : node));
  return ended({ ...rollout, nodes }, 'stopped', `${entry.name}: ${why}`, nowMs);
};

export const ended = (rollout: RolloutState, state: 'done' | 'stopped', reason: string | null, nowMs: number): RolloutState => ({
  ...rollout,
  state,
  reason,
  endedAtMs: nowMs,
});

interface Question {
  readonly record: NodeRecord | undefined;
  readonly isMember: boolean;
  readonly rollout: RolloutState;
  readonly manifest: ReleaseManifest;
  readonly nowMs: number;
}

const judge = (entry: Entry, question: Question): Entry => {
  const isOpen = entry.state === 'waiting' || entry.state === 'updating';
  if (isOpen && !question.isMember) return became(entry, 'skipped', 'it does not belong to the fleet any more');
  if (entry.state === 'waiting') return judgeWaiting(entry, question);
  return entry.state === 'updating' ? judgeUpdating(entry, question) : entry;
};

const judgeWaiting = (entry: Entry, { record, rollout, manifest, nowMs }: Question): Entry => {
  // Also of a rollout that came back with an old backup.
  if (nowMs - rollout.startedAtMs > WAIT_LIMIT_MS) return became(entry, 'skipped', 'its turn did not come within a week');
  if (!isThere(record)) return entry;
  const { agentVersion, update, os } = record.snapshot;
  const { version, isForced } = rollout;
  if (agentVersion === version) return became(entry, 'done', 'it had this version');
  const skipped = (why: string) => became(entry, 'skipped', why);
  if (!update) return skipped('it was not installed as a service; update it the way it came');
  if (!update.isAllowed) return skipped('its owner forbids updates over the wire');
  const platform = `${os.platform}-${os.arch}`;
  if (!Object.hasOwn(manifest.platforms, platform)) return skipped(`there is no release for ${platform}`);
  const order = compareVersions(version, agentVersion);
  if (order < 0 && !isForced) return skipped(`it has ${agentVersion}, which is newer`);
  if (order > 0 && compareVersions(agentVersion, manifest.minimumVersion) < 0)
    return skipped(`it has ${agentVersion}; ${manifest.minimumVersion} has to come first`);
  if (update.state === 'rolled_back' && update.version === version && !isForced)
    return became(entry, 'failed', `${version} was taken back there: ${update.detail ?? 'it did not connect'}`);
  return entry;
};

const judgeUpdating = (entry: Entry, { record, rollout, nowMs }: Question): Entry => {
  const failed = (why: string) => became(entry, 'failed', why);
  if (nowMs - (entry.firstAskedAtMs ?? nowMs) > TOTAL_LIMIT_MS) return failed('it took longer than 45 minutes');
  if (!isThere(record)) {
    const awaySinceMs = entry.awaySinceMs ?? nowMs;
    return nowMs - awaySinceMs > AWAY_LIMIT_MS ? failed('it did not come back') : { ...entry, awaySinceMs, backSinceMs: null };
  }
  const here = { ...entry, awaySinceMs: null };
  const { agentVersion, update, models } = record.snapshot;
  if (agentVersion === rollout.version) {
    if (update?.state === 'trial') return here;
    if (!entry.hadModels || models.length > 0) return became(here, 'done', null);
    const backSinceMs = entry.backSinceMs ?? nowMs;
    return nowMs - backSinceMs > MODELS_LIMIT_MS ? failed('it is back without its models') : { ...here, backSinceMs };
  }
  const isAnother = record.instanceId !== entry.instanceId;
  if (isAnother && update?.state === 'rolled_back' && update.version === rollout.version)
    return failed(`${rollout.version} was taken back: ${update.detail ?? 'it did not connect'}`);
  const isSilent = isIdle(record) && nowMs - (entry.askedAtMs ?? nowMs) > ASK_AGAIN_MS;
  return isSilent && entry.asks >= MAX_ASKS ? failed(`it was asked ${MAX_ASKS} times and did nothing`) : here;
};

const isToBeAskedAgain = (entry: Entry, record: NodeRecord | undefined, version: string, nowMs: number): boolean =>
  entry.state === 'updating' &&
  isThere(record) &&
  record.snapshot.agentVersion !== version &&
  isIdle(record) &&
  nowMs - (entry.askedAtMs ?? nowMs) > ASK_AGAIN_MS;

/** One until one has proved the version, then as many as were asked for; never the last of those that have a model. */
const nextTurns = (rollout: RolloutState, { records }: Fleet): string[] => {
  const idsIn = (wanted: Entry['state']) => rollout.nodes.filter(({ state }) => state === wanted).map(({ nodeId }) => nodeId);
  const isProved = idsIn('done').length > 0;
  const waiting = new Set(idsIn('waiting'));
  const taken = new Set(idsIn('updating'));
  const first = isProved ? null : rollout.first;
  const candidates = records.filter((record) => waiting.has(record.nodeId) && isThere(record));
  // Who was named to be the first is waited for.
  if (first !== null && waiting.has(first) && !candidates.some(({ nodeId }) => nodeId === first)) return [];
  const cost = new Map(candidates.map((record) => [record.nodeId, record.nodeId === first ? -1 : missed(record, records)]));
  candidates.sort(
    (a, b) => (cost.get(a.nodeId) ?? 0) - (cost.get(b.nodeId) ?? 0) || a.snapshot.name.localeCompare(b.snapshot.name, 'en'),
  );
  const turns: string[] = [];
  for (const record of candidates) {
    if (taken.size >= (isProved ? rollout.parallel : 1)) break;
    if (leavesAModelAlone(record, records, taken)) continue;
    taken.add(record.nodeId);
    turns.push(record.nodeId);
  }
  return turns;
};

/** Whether somebody else has the model, but everybody else who has it is being updated. */
const leavesAModelAlone = (record: NodeRecord, records: readonly NodeRecord[], taken: ReadonlySet<string>): boolean =>
  record.snapshot.models.some(({ id }) => {
    const others = records.filter((other) => other !== record && (taken.has(other.nodeId) || isThere(other)) && has(other, id));
    return others.length > 0 && others.every((other) => taken.has(other.nodeId));
  });

/** How much it would be missed: models that nobody else has, then what runs on it. */
const missed = (record: NodeRecord, records: readonly NodeRecord[]): number => {
  const { models, inFlight } = record.snapshot;
  const alone = models.filter(({ id }) => !records.some((other) => other !== record && isThere(other) && has(other, id)));
  return alone.length * 1_000 + inFlight;
};

const has = ({ snapshot }: NodeRecord, model: string): boolean => snapshot.models.some(({ id }) => sameModel(id, model));

const isThere = (record: NodeRecord | undefined): record is NodeRecord => record !== undefined && record.liveness === 'alive';

const isIdle = ({ snapshot }: NodeRecord): boolean => !AT_IT.includes(snapshot.update?.state ?? 'none');

const became = (entry: Entry, state: Entry['state'], detail: string | null): Entry => ({ ...entry, state, detail });

const asked = (entry: Entry, recordOf: ReadonlyMap<string, NodeRecord>, nowMs: number): Entry => {
  const record = recordOf.get(entry.nodeId);
  return {
    ...entry,
    state: 'updating',
    from: entry.from ?? record?.snapshot.agentVersion ?? null,
    instanceId: record?.instanceId ?? null,
    firstAskedAtMs: entry.firstAskedAtMs ?? nowMs,
    askedAtMs: nowMs,
    asks: entry.asks + 1,
    hadModels: entry.hadModels || (record?.snapshot.models.length ?? 0) > 0,
  };
};
