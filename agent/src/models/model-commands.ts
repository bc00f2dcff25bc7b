import type { ErrorCode } from '@lai/shared/errors';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import type { ModelCancel, ModelCommand } from '@lai/shared/protocol/coordinator-message';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { RuntimeError } from '../runtimes/runtime.ts';
import { CommandNews } from './command-news.ts';
import type { Models } from './models.ts';
import type { Pulls } from './pulls.ts';

/** More at once is somebody's mistake. */
const LIMIT = 64;
/** What runs on a model that is to be exchanged or deleted may finish within this. */
const FINISH_MS = 30_000;

/**
 * The coordinator's wishes about models, as they run. Each one that begins ends with one result, whatever happens to the connection in
 * between; the closed list of verbs is `ModelCommand`. Single writer of the list of running commands.
 */
export class ModelCommands {
  readonly #models: Models;
  readonly #pulls: Pulls;
  readonly #holdsAgainst: (isForced: boolean) => readonly string[];
  readonly #send: (message: AgentMessage) => void;
  readonly #reportFirst: () => void;
  readonly #log: Logger;
  readonly #running = new Map<string, AbortController>();
  /** Cancels that came before what they mean: each may have come over another coordinator. */
  readonly #canceled = new Set<string>();

  constructor(options: {
    models: Models;
    pulls: Pulls;
    /** Why nothing may be loaded now; empty when it may. */
    holdsAgainst: (isForced: boolean) => readonly string[];
    send: (message: AgentMessage) => void;
    /** Sends a snapshot: whoever hears that a command is done looks there next. */
    reportFirst: () => void;
    log: Logger;
  }) {
    this.#models = options.models;
    this.#pulls = options.pulls;
    this.#holdsAgainst = options.holdsAgainst;
    this.#send = options.send;
    this.#reportFirst = options.reportFirst;
    this.#log = options.log;
  }

  obey(message: ModelCommand | z.infer<typeof ModelCancel>): void {
    const { commandId } = message;
    if (message.type === 'model.cancel') {
      if (this.#running.has(commandId)) this.#running.get(commandId)?.abort(new RuntimeError('canceled', 'canceled'));
      else this.#cancelInAdvance(commandId);
    } else if (this.#canceled.delete(commandId)) {
      this.#end(commandId, 'canceled', 'canceled before it began');
    } else if (!this.#running.has(commandId)) {
      void this.#run(message);
    }
  }

  #cancelInAdvance(commandId: string): void {
    this.#canceled.add(commandId);
    if (this.#canceled.size <= LIMIT) return;
    const [oldest = ''] = this.#canceled;
    this.#canceled.delete(oldest);
  }

  async #run(message: ModelCommand): Promise<void> {
    const { commandId, model, type } = message;
    if (this.#running.size >= LIMIT) {
      this.#end(commandId, 'engine_overloaded', `${LIMIT} commands run already`);
      return;
    }
    const cancel = new AbortController();
    this.#running.set(commandId, cancel);
    const news = new CommandNews({ commandId, stage: 'started', send: this.#send });
    this.#log.info({ commandId, model, command: type }, 'command of the coordinator');
    try {
      await this.#do(message, news, cancel.signal);
      news.close();
      this.#reportFirst();
      this.#send({ type: 'command.result', commandId, ok: true });
    } catch (error) {
      const { code, detail } = error instanceof RuntimeError ? error : { code: 'internal_error' as const, detail: String(error) };
      this.#log.warn({ commandId, model, command: type, code, detail }, 'command failed');
      this.#end(commandId, code, detail);
    } finally {
      news.close();
      this.#running.delete(commandId);
    }
  }

  #do(message: ModelCommand, news: CommandNews, signal: AbortSignal): Promise<void> {
    switch (message.type) {
      case 'model.load': {
        const held = this.#holdsAgainst(message.isForced === true);
        if (held.length > 0) return Promise.reject(new RuntimeError('node_held', held.join(', ')));
        signal.addEventListener('abort', () => this.#models.cancelLoad(message.model), { once: true });
        return message.replaces === undefined
          ? this.#models.load(message.model)
          : this.#models.swap({ out: message.replaces, in: message.model, graceMs: FINISH_MS });
      }
      case 'model.unload':
        return this.#models.unload(message.model, { graceMs: message.graceMs ?? FINISH_MS });
      case 'model.pull':
        return this.#pulls.pull(message.model, (progress) => news.tell(progress), signal);
      case 'model.delete':
        return this.#models.delete(message.model, { graceMs: FINISH_MS });
    }
  }

  #end(commandId: string, code: ErrorCode, detail: string): void {
    this.#send({ type: 'command.result', commandId, ok: false, code, detail: detail.slice(0, 2_000) });
  }
}
