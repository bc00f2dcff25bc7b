import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import type { ModelCancel, ModelCommand } from '@lai/shared/protocol/coordinator-message';
import { pino } from 'pino';
import type { z } from 'zod';
import type { Runtime } from '../runtimes/runtime.ts';
import { ModelCommands } from './model-commands.ts';
import { Models } from './models.ts';
import { Pulls } from './pulls.ts';

/** For tests: the whole room over one runtime, with a clock that the test moves and a coordinator that remembers what it was told. */
export class TrialRoom {
  readonly models: Models;
  readonly sent: AgentMessage[] = [];
  readonly #commands: ModelCommands;
  #nowMs = 0;

  constructor(options: { runtime: Runtime; allowed: readonly string[] }) {
    const log = pino({ level: 'silent' });
    this.models = new Models({ maxConcurrent: 4, idleUnloadMs: 600_000, onChange: () => {}, now: () => this.#nowMs, log });
    const pulls = new Pulls({
      runtimes: () => [options.runtime],
      allowed: options.allowed,
      onPulled: (runtime) => this.models.refresh(runtime),
      onChange: () => {},
      log,
    });
    this.#commands = new ModelCommands({
      models: this.models,
      pulls,
      holdsAgainst: () => [],
      send: (message) => this.sent.push(message),
      reportFirst: () => {},
      log,
    });
  }

  obey(message: ModelCommand | z.infer<typeof ModelCancel>): void {
    this.#commands.obey(message);
  }

  /** How the command ended, once it has. */
  result(commandId: string): Extract<AgentMessage, { type: 'command.result' }> | undefined {
    return this.sent.find((message) => message.type === 'command.result' && message.commandId === commandId) as never;
  }

  /** Bytes that were told of it, oldest first. */
  progress(commandId: string): number[] {
    return this.sent.flatMap((message) =>
      message.type === 'command.progress' && message.commandId === commandId ? (message.completedBytes ?? []) : [],
    );
  }

  stateOf(id: string): string | undefined {
    return this.models.report().find((model) => model.id === id)?.state;
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    this.models.tick({ mayLoad: true });
  }
}
