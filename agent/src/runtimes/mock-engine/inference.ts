import { composeAnswer } from './answer.ts';
import { AnswerWriter, type Wording } from './answer-writer.ts';
import type { Engine } from './engine.ts';
import { carriedFaults, type Fault } from './faults.ts';
import { generate } from './generation.ts';
import type { Habits } from './habits.ts';
import type { HostedModel, Refusal, Ticket } from './hosted-model.ts';
import { can } from './model-spec.ts';
import type { Tuning } from './options.ts';
import type { Prompt } from './prompt.ts';
import { countTokens } from './text.ts';
import { type Exchange, type Reply, sendReply } from './wire.ts';

/** One kind of engine as seen from outside. */
export interface Dialect {
  readonly habits: Habits;
  /** Where its defaults differ. */
  readonly tuning: Partial<Tuning>;
  /** On every answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** The port opens only when the first model is in memory. */
  readonly loadsBeforeListening: boolean;
  readonly answer: (engine: Engine, exchange: Exchange) => Promise<void> | void;
}

/** What every request for a model needs, whatever it wants from it. */
interface ModelCall {
  readonly engine: Engine;
  readonly exchange: Exchange;
  readonly model: HostedModel;
  readonly refuse: (refusal: Refusal) => Reply;
  readonly contextLength?: number | null;
  readonly keepAliveMs?: number | null | undefined;
}

/** Chat and completions of every dialect: claim faults, wait for the slot, speak. */
export const serveAnswer = async (call: ModelCall & { prompt: Prompt; wording: Wording }): Promise<void> => {
  const { engine, exchange, model, prompt, wording } = call;
  const faults = faultsOf(call, prompt);
  const ticket = openTicket(call, faults);
  const writer = new AnswerWriter(exchange.res, wording, chunkingOf(engine, faults));
  const early = refusalAtTheDoor(faults);
  if (early) return refuseTicket(ticket, engine, () => writer.refuse(call.refuse(early)));
  writer.reached('arrival');
  engine.admit(ticket);
  const admission = await ticket.admission;
  if (admission.kind === 'gone') return;
  if (admission.kind === 'refused') return writer.refuse(call.refuse(admission.refusal));
  writer.reached('slot');
  const answer = composeAnswer({
    prompt,
    name: engine.name,
    canUseTools: can(model.spec, 'tools'),
    naturalTokens: engine.tuning.naturalTokens,
    longestTokens: engine.tuning.longestTokens,
  });
  generate({ engine, ticket, answer, writer, promptTokens: prompt.promptTokens });
};

/** Embeddings: one slot, no stream; `compose` makes the body once the time for reading the prompt is over. */
export const serveVectors = async (
  call: ModelCall & { inputs: readonly string[]; compose: (ticket: Ticket) => Reply },
): Promise<void> => {
  const { engine, exchange } = call;
  const ticket = openTicket(call, faultsOf(call, { text: call.inputs.join('\n'), lastUserText: call.inputs.at(-1) ?? '' }));
  const early = refusalAtTheDoor(ticket.faults);
  if (early) return refuseTicket(ticket, engine, () => sendReply(exchange.res, call.refuse(early)));
  engine.admit(ticket);
  const admission = await ticket.admission;
  if (admission.kind === 'gone') return;
  if (admission.kind === 'refused') return sendReply(exchange.res, call.refuse(admission.refusal));
  const tokens = call.inputs.reduce((sum, input) => sum + countTokens(input), 0);
  const leave = (end: 'done' | 'aborted' | 'failed'): void => {
    engine.clock.stop(beat);
    engine.census.close(ticket.record, end);
    engine.release(ticket);
  };
  const beat = (): null => {
    if (ticket.fault('hang')) return null;
    const exit = ticket.fault('exit');
    if (exit) {
      engine.die({ exitCode: exit.exitCode });
      return null;
    }
    if (ticket.fault('reset') ?? ticket.fault('end')) {
      exchange.res.socket?.resetAndDestroy();
      leave('failed');
      return null;
    }
    if (ticket.fault('crash') ?? ticket.fault('poison')) {
      engine.crashRunner(call.model);
      return null;
    }
    engine.census.promptTokens += tokens;
    sendReply(exchange.res, call.compose(ticket));
    leave('done');
    return null;
  };
  ticket.onAbort = () => leave('aborted');
  ticket.onDeath = (death) => {
    if (death === 'exit') exchange.res.destroy();
    else sendReply(exchange.res, call.refuse({ kind: 'crashed' }));
    leave('failed');
  };
  engine.clock.start(beat, engine.clock.now() + engine.tuning.prefillMs);
};

const faultsOf = (call: ModelCall, prompt: Pick<Prompt, 'text' | 'lastUserText'>): Fault[] => {
  const { engine, exchange, model } = call;
  const armed = engine.faults.claimForRequest({ model: model.spec.name, prompt: prompt.text });
  if (!engine.allowsFaults) return armed;
  const header = exchange.req.headers['x-lai-mock-fault'];
  const carried = carriedFaults({
    header: Array.isArray(header) ? header.join(',') : header,
    lastUserText: prompt.lastUserText,
    engine: engine.name,
  });
  return [...armed, ...carried];
};

const openTicket = (call: ModelCall, faults: readonly Fault[]): Ticket => {
  const { engine, exchange, model, contextLength, keepAliveMs } = call;
  const ticket = engine.ticket({
    model,
    route: exchange.path,
    faults,
    keepAliveMs,
    ...(contextLength === undefined ? {} : { contextLength }),
  });
  // `close` comes after every answer too; only one that came too early is somebody hanging up.
  exchange.res.on('close', () => {
    if (!exchange.res.writableFinished) engine.abort(ticket);
  });
  return ticket;
};

const refusalAtTheDoor = (faults: readonly Fault[]): Refusal | null => {
  for (const { kind } of faults) {
    if (kind === 'busy' || kind === 'loading' || kind === 'error') return { kind };
  }
  return null;
};

const refuseTicket = (ticket: Ticket, engine: Engine, send: () => void): void => {
  engine.census.close(ticket.record, 'refused');
  ticket.isOver = true;
  send();
};

const chunkingOf = (engine: Engine, faults: readonly Fault[]): Tuning['chunking'] => {
  const asked = faults.find(({ kind }) => kind === 'split' || kind === 'coalesce')?.kind;
  return asked === 'split' || asked === 'coalesce' ? asked : engine.tuning.chunking;
};
