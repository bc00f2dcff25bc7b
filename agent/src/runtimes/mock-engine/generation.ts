import type { Answer } from './answer.ts';
import type { AnswerWriter, Cut, Stats } from './answer-writer.ts';
import type { Engine } from './engine.ts';
import type { Fault } from './faults.ts';
import { type Death, speedFactor, type Ticket } from './hosted-model.ts';
import { randomFrom, seedOf } from './text.ts';
import type { Beat } from './token-clock.ts';

/** Most tokens in one write; keeps one stream from holding the event loop when there is no pace. */
const MAX_TOKENS_PER_BEAT = 32;
/** A stream that is not read is looked at again after this. */
const CONGESTION_MS = 20;
const DEFAULT_STALL_MS = 2000;
const DEFAULT_SLOW_MS = 1000;

/** Ways to end a stream that a fault may ask for by name, whatever the dialect would do by itself. */
const NAMED_CUTS: Partial<Record<Fault['kind'], Cut>> = {
  end: { text: '', close: 'clean' },
  reset: { text: '', close: 'reset' },
  'empty-delta': {
    text: 'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":0,"model":"","system_fingerprint":"fp_lai_mock","choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}\n\n',
    close: 'clean',
  },
  'ndjson-error': { text: '{"error":"an error was encountered while running the model: unexpected EOF"}\n', close: 'clean' },
  'sse-error': {
    text: 'data: {"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","type":"InternalServerError","param":null,"code":500}}\n\ndata: [DONE]\n\n',
    close: 'clean',
  },
  'raw-text': { text: 'proxy error: Failed to read connection', close: 'clean' },
};

/**
 * One answer being spoken: prefill, then tokens at the model's pace, then the end; or any of the faults in between.
 * Takes the ticket's slot and gives it back. Never generates more than the token it is at once nobody listens.
 */
export const generate = (job: {
  engine: Engine;
  ticket: Ticket;
  answer: Answer;
  writer: AnswerWriter;
  promptTokens: number;
}): void => {
  const { engine, ticket, answer, writer } = job;
  const { tuning } = engine;
  const { model, record } = ticket;
  const startedMs = engine.clock.now();
  const prefillMs = tuning.prefillMs + (tuning.prefillMsPer1kTokens * job.promptTokens) / 1000;
  const tps = tuning.tps ?? model.spec.tps;
  const ignoresAbort = ticket.fault('ignore-abort') !== undefined;
  const isDoneMissing = ticket.fault('no-done') !== undefined;
  const random = tuning.jitter > 0 ? randomFrom(seedOf(String(record.id))) : () => 0.5;
  const pending = ticket.faults
    .filter((fault) => STRIKES_MIDWAY.has(fault.kind))
    .toSorted((a, b) => a.afterTokens - b.afterTokens);
  let intervalMs = tps > 0 ? 1000 / (tps * speedFactor(model)) : 0;
  let emitted = 0;
  let nextMs = startedMs + prefillMs;
  let firstMs = nextMs;

  const stats = (): Stats => {
    const nowMs = engine.clock.now();
    return {
      answer,
      tokens: emitted,
      promptTokens: job.promptTokens,
      loadMs: ticket.loadMs,
      prefillMs: firstMs - startedMs,
      generateMs: Math.max(0, nowMs - firstMs),
      totalMs: performance.now() - ticket.openedAtMs,
    };
  };

  const leave = (end: 'done' | 'aborted' | 'failed'): void => {
    ticket.onAbort = null;
    ticket.onDeath = null;
    engine.clock.stop(beat);
    engine.census.close(record, end);
    engine.release(ticket);
  };

  /** Returns when to go on, or null when the generation is over. */
  const strike = (fault: Fault, nowMs: number): number | null => {
    switch (fault.kind) {
      case 'hang':
        return Number.POSITIVE_INFINITY;
      case 'stall':
        return nowMs + (fault.ms ?? DEFAULT_STALL_MS);
      case 'slow':
        intervalMs = fault.ms ?? DEFAULT_SLOW_MS;
        return nowMs + intervalMs;
      case 'garbage':
        writer.raw('data: {"choices":[{"del\u0000\n\n');
        return nowMs;
      case 'repeat-guard':
        writer.stopShort(stats());
        leave('failed');
        return null;
      case 'exit':
        engine.die({ exitCode: fault.exitCode });
        return null;
      case 'crash':
        engine.crashRunner(model);
        return null;
      case 'poison':
        if (fault.scope === 'process') engine.die({ exitCode: fault.exitCode });
        else engine.crashRunner(model);
        return null;
      default:
        writer.cut(NAMED_CUTS[fault.kind] ?? { text: '', close: 'clean' });
        leave('failed');
        return null;
    }
  };

  const speak = (count: number): void => {
    if (count === 0) return;
    if (emitted === 0) firstMs = engine.clock.now();
    record.state = 'generating';
    engine.census.count(record, count, ticket.isAborted);
    model.counts.tokens += count;
    emitted += count;
    if (!ticket.isAborted) writer.tokens(answer, emitted - count, emitted);
  };

  const beat: Beat = (nowMs) => {
    if (writer.isCongested && !ticket.isAborted) return nowMs + CONGESTION_MS;
    const until = Math.min(answer.tokens.length, pending[0]?.afterTokens ?? Number.POSITIVE_INFINITY);
    let count = 0;
    while (emitted + count < until && nextMs <= nowMs + 0.5 && count < MAX_TOKENS_PER_BEAT) {
      count += 1;
      nextMs += intervalMs * (1 + tuning.jitter * (2 * random() - 1));
    }
    speak(count);
    const fault = pending[0];
    if (fault && emitted >= fault.afterTokens) {
      pending.shift();
      const resumeMs = strike(fault, nowMs);
      if (resumeMs === null) return null;
      nextMs = Math.max(nextMs, resumeMs);
      return nextMs;
    }
    if (emitted < answer.tokens.length) return nextMs;
    if (!ticket.isAborted) writer.finish(stats(), isDoneMissing);
    leave(ticket.isAborted ? 'aborted' : 'done');
    return null;
  };

  ticket.onAbort = () => {
    if (!ignoresAbort) leave('aborted');
  };
  ticket.onDeath = (death: Death) => {
    if (death === 'exit') writer.cut({ text: '', close: 'reset' });
    else if (death === 'crash') writer.crash();
    else writer.unloaded();
    leave('failed');
  };
  record.state = 'prefill';
  model.counts.promptTokens += job.promptTokens;
  engine.census.promptTokens += job.promptTokens;
  engine.clock.start(beat, nextMs);
};

const STRIKES_MIDWAY: ReadonlySet<Fault['kind']> = new Set<Fault['kind']>([
  'hang',
  'stall',
  'slow',
  'crash',
  'exit',
  'poison',
  'end',
  'reset',
  'empty-delta',
  'ndjson-error',
  'sse-error',
  'raw-text',
  'garbage',
  'repeat-guard',
]);
