import { CodedError, ERRORS } from '@lai/shared/errors';
import { type Actor, appendAudit } from '../access/audit.ts';
import type { Database } from '../store/database.ts';
import type { CommandLog } from './command-log.ts';
import type { Registry } from './registry.ts';
import type { CommandEnd, CommandLink, ModelRequest, RunningCommand } from './running-command.ts';

/** What operators tell a node to do with its models, written into the audit log before it is done. */
export class NodeCommands {
  readonly #db: Database;
  readonly #registry: Pick<Registry<CommandLink>, 'link' | 'snapshot'>;

  readonly #commands: CommandLog;

  constructor(options: { db: Database; registry: Pick<Registry<CommandLink>, 'link' | 'snapshot'>; commands: CommandLog }) {
    this.#db = options.db;
    this.#commands = options.commands;
    this.#registry = options.registry;
  }

  /** Throws CodedError when the node is not connected. */
  async run(actor: Actor, nodeId: string, request: ModelRequest): Promise<RunningCommand> {
    const link = this.#linkTo(nodeId);
    const { type, ...detail } = request;
    await appendAudit(this.#db, { atMs: Date.now(), actor, action: type, object: nodeId, detail });
    const running = link.command(request);
    const note = this.#commands.begin({ commandId: running.commandId, nodeId, request, startedBy: actor.name });
    running.observe((frame) => note(frame, frame.kind === 'failed' ? this.sentence(nodeId, frame) : undefined));
    return running;
  }

  async cancel(actor: Actor, nodeId: string, commandId: string): Promise<void> {
    const link = this.#linkTo(nodeId);
    await appendAudit(this.#db, { atMs: Date.now(), actor, action: 'model.cancel', object: nodeId, detail: { commandId } });
    link.cancelCommand(commandId);
  }

  /** Why it did not work, for a client; the engine's own text is for operators only. */
  sentence(nodeId: string, { code }: Extract<CommandEnd, { kind: 'failed' }>): string {
    return `${this.#registry.snapshot(nodeId)?.name ?? nodeId}: ${ERRORS[code].sentence}`;
  }

  #linkTo(nodeId: string): CommandLink {
    const link = this.#registry.link(nodeId);
    if (!link) throw new CodedError('entry_not_found', { message: `The node ${nodeId.slice(0, 64)} is not connected.` });
    return link;
  }
}
