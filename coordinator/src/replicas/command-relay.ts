import { randomUUID } from 'node:crypto';
import { AgentCommand } from '@lai/shared/protocol/coordinator-message';
import { z } from 'zod';
import { loadOutcome, type NodeSession } from '../nodes/node-session.ts';
import type { NodeRecord } from '../nodes/registry.ts';
import { CommandFrame, type CommandLink, type CommandRequest, RunningCommand } from '../nodes/running-command.ts';
import type { Item } from './envelope.ts';
import type { Replicas } from './replicas.ts';

const id = z.string().max(64);

/** From the replica that was asked (origin) to the one that holds the node's socket (owner), and news back. */
const CommandMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('command.start'), nodeId: id, command: AgentCommand }),
  z.object({ type: z.literal('command.cancel'), nodeId: id, commandId: id }),
  z.object({ type: z.literal('command.news'), commandId: id, frame: CommandFrame }),
]);
type CommandMessage = z.infer<typeof CommandMessage>;

const LOST = { kind: 'failed', code: 'node_lost', detail: null } as const;

/** Commands about models across replicas. A piece of news may get lost; a lost ending shows as the node's silence. */
export class CommandRelay {
  readonly #replicas: Replicas;
  readonly #session: (nodeId: string) => NodeSession | undefined;
  readonly #asked = new Map<string, { readonly replicaId: string; readonly command: RunningCommand }>();

  constructor(options: { replicas: Replicas; session: (nodeId: string) => NodeSession | undefined }) {
    this.#replicas = options.replicas;
    this.#session = options.session;
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
      this.#asked.set(commandId, { replicaId, command });
      this.#say(replicaId, { type: 'command.start', nodeId, command: { ...request, commandId } });
      return command;
    };
    return {
      command,
      cancelCommand,
      loadModel: async (model) => loadOutcome(await command({ type: 'model.load', model }).ending()),
    };
  }

  /** True when the item was for us. */
  take(sender: string, item: Item): boolean {
    const message = item.kind === 'message' ? CommandMessage.safeParse(item.message).data : undefined;
    if (!message) return false;
    if (message.type === 'command.start') void this.#run(sender, message);
    else if (message.type === 'command.cancel') this.#session(message.nodeId)?.cancelCommand(message.commandId);
    else this.#asked.get(message.commandId)?.command.take(message.frame);
    return true;
  }

  /** Its nodes went with it. */
  replicaGone(replicaId: string): void {
    for (const asked of [...this.#asked.values()]) if (asked.replicaId === replicaId) asked.command.take(LOST);
  }

  async #run(origin: string, { nodeId, command }: Extract<CommandMessage, { type: 'command.start' }>): Promise<void> {
    const { commandId, ...request } = command;
    const running = this.#session(nodeId)?.command(request, commandId) ?? [LOST];
    for await (const frame of running) this.#say(origin, { type: 'command.news', commandId, frame });
  }

  #say(replicaId: string, message: CommandMessage): void {
    this.#replicas.send(replicaId, { kind: 'message', message });
  }
}
