import { randomUUID } from 'node:crypto';
import { AgentCommand } from '@lai/shared/protocol/coordinator-message';
import { z } from 'zod';
import { loadOutcome, type NodeSession } from '../nodes/node-session.ts';
import type { NodeRecord } from '../nodes/registry.ts';
import { CommandFrame, type CommandLink, type CommandRequest, RunningCommand } from '../nodes/running-command.ts';
import type { Item } from './envelope.ts';
import { CHECKS } from './relay.ts';
import type { Replicas } from './replicas.ts';

const id = z.string().max(64);

/** From the replica that was asked (origin) to the one that holds the node's socket (owner), and news back. */
const CommandMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('command.start'), nodeId: id, command: AgentCommand }),
  z.object({ type: z.literal('command.cancel'), nodeId: id, commandId: id }),
  z.object({ type: z.literal('command.news'), commandId: id, frame: CommandFrame }),
  z.object({ type: z.literal('commands.check'), commandIds: z.array(id) }),
  z.object({
    type: z.literal('commands.known'),
    commands: z.array(z.object({ commandId: id, isRunning: z.boolean() })),
  }),
]);
type CommandMessage = z.infer<typeof CommandMessage>;

const LOST = { kind: 'failed', code: 'node_lost', detail: null } as const;

/** Commands about models across replicas. News may get lost; that a command is no more at work, or never was, `#compare` finds out. */
export class CommandRelay {
  readonly #replicas: Replicas;
  readonly #session: (nodeId: string) => NodeSession | undefined;
  /** Of others, at work on nodes of ours. */
  readonly #running = new Set<string>();
  readonly #asked = new Map<string, { readonly replicaId: string; readonly command: RunningCommand; unanswered: number }>();

  constructor(options: { replicas: Replicas; session: (nodeId: string) => NodeSession | undefined }) {
    this.#replicas = options.replicas;
    this.#session = options.session;
    this.#replicas.onBeat(() => this.#compare());
  }

  /** The way to a node whose socket another replica holds. */
  link({ nodeId, replicaId }: NodeRecord): CommandLink & Pick<NodeSession, 'loadModel'> {
    const cancelCommand = (commandId: string) => this.#say(replicaId, { type: 'command.cancel', nodeId, commandId });
    const command = (request: CommandRequest, commandId: string = randomUUID()) => {
      const command = new RunningCommand({
        commandId,
        type: request.type,
        onCancel: () => cancelCommand(commandId),
        onEnd: () => this.#asked.delete(commandId),
      });
      this.#asked.set(commandId, { replicaId, command, unanswered: 0 });
      this.#say(replicaId, { type: 'command.start', nodeId, command: { ...request, commandId } });
      return command;
    };
    return {
      command,
      cancelCommand,
      loadModel: async (model, isForced = false) =>
        loadOutcome(await command({ type: 'model.load', model, ...(isForced ? { isForced } : {}) }).ending()),
    };
  }

  /** True when the item was for us. */
  take(sender: string, item: Item): boolean {
    const message = item.kind === 'message' ? CommandMessage.safeParse(item.message).data : undefined;
    if (!message) return false;
    if (message.type === 'command.start') void this.#run(sender, message);
    else if (message.type === 'command.cancel') this.#session(message.nodeId)?.cancelCommand(message.commandId);
    else if (message.type === 'command.news') this.#asked.get(message.commandId)?.command.take(message.frame);
    else if (message.type === 'commands.check') this.#answerCheck(sender, message.commandIds);
    else for (const known of message.commands) this.#hearKnown(known);
    return true;
  }

  /** Once a second, to everybody who was asked for something: are you still at it? */
  #compare(): void {
    for (const asked of [...this.#asked.values()]) {
      asked.unanswered += 1;
      if (asked.unanswered > CHECKS) asked.command.take(LOST);
    }
    for (const [replicaId, commands] of Map.groupBy(this.#asked, ([, { replicaId }]) => replicaId))
      this.#say(replicaId, { type: 'commands.check', commandIds: commands.map(([commandId]) => commandId) });
  }

  /** Endings are said before this is. */
  #answerCheck(sender: string, commandIds: readonly string[]): void {
    const commands = commandIds.map((commandId) => ({ commandId, isRunning: this.#running.has(commandId) }));
    this.#say(sender, { type: 'commands.known', commands });
  }

  #hearKnown({ commandId, isRunning }: { commandId: string; isRunning: boolean }): void {
    const asked = this.#asked.get(commandId);
    if (!asked) return;
    asked.unanswered = 0;
    if (!isRunning) asked.command.take(LOST);
  }

  /** Its nodes went with it. */
  replicaGone(replicaId: string): void {
    for (const asked of [...this.#asked.values()]) if (asked.replicaId === replicaId) asked.command.take(LOST);
  }

  async #run(origin: string, { nodeId, command }: Extract<CommandMessage, { type: 'command.start' }>): Promise<void> {
    const { commandId, ...request } = command;
    const running = this.#session(nodeId)?.command(request, commandId) ?? [LOST];
    this.#running.add(commandId);
    for await (const frame of running) this.#say(origin, { type: 'command.news', commandId, frame });
    this.#running.delete(commandId);
  }

  #say(replicaId: string, message: CommandMessage): void {
    this.#replicas.send(replicaId, { kind: 'message', message });
  }
}
