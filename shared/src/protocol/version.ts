/**
 * One integer for the whole wire protocol. A coordinator serves agents of MIN_PROTOCOL to PROTOCOL; adding a field or a message
 * that an older peer may drop needs no bump. A bump adds a dated line here and a golden fixture per message.
 *
 * 1  2026-11-21  hello/challenge/proof/welcome, status snapshots, attempts with credit, model load.
 *                Added since: gaming wish in desired state, gaming and preemption in snapshots, `isForced` of attempts.
 *                Model unload, pull, delete, cancel; progress of commands; downloads in snapshots.
 *                Updates of agents, and how they stand in snapshots.
 *                Troubles in snapshots; a name that another model of the node shares its memory with.
 */
export const PROTOCOL = 1;
export const MIN_PROTOCOL = 1;

/** Agents of this many versions back are served: a fleet is updated one by one, and some of its machines are switched off meanwhile. */
export const SERVED_VERSIONS_BACK = 2;

/** What a coordinator speaks with an agent: the newest that both know. Null: the agent is too old. */
export const agreedProtocol = (theirs: number, ours = { oldest: MIN_PROTOCOL, newest: PROTOCOL }): number | null =>
  theirs < ours.oldest ? null : Math.min(theirs, ours.newest);

/** Where agents connect, below the coordinator's base URL. */
export const AGENT_SOCKET_PATH = '/agent/v1';
