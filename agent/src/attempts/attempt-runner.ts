import type http from 'node:http';
import { Normaliser } from '@lai/shared/answer-normaliser';
import type { AttemptTimings, ChunkKind, Usage } from '@lai/shared/attempt';
import { ERRORS, type ErrorCode } from '@lai/shared/errors';
import type { AgentMessage } from '@lai/shared/protocol/agent-message';
import { BODY_PIECE_BYTES, encodeData, MAX_EVENT_BYTES } from '@lai/shared/protocol/codec';
import type { AttemptStart } from '@lai/shared/protocol/coordinator-message';
import { readWhole } from '@lai/shared/whole-answer';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { classifyEngineError, classifySocketError, explainRefusal } from '../runtimes/engine-error.ts';
import { openEngineRequest, readText } from '../runtimes/engine-http.ts';
import { type Runtime, RuntimeError } from '../runtimes/runtime.ts';
import { cutInputs, MOST_CUTS } from './cut-inputs.ts';
import { withModel } from './model-in-body.ts';
import { StreamScanner } from './stream-scanner.ts';
import { contentTypeOf, isPlainAnswer, STREAMED, usageOfWhole } from './whole-answers.ts';

type Start = z.infer<typeof AttemptStart>;

/** Where an attempt's frames go. */
export interface AttemptSink {
  send(message: AgentMessage): void;
  sendData(frame: Uint8Array): void;
}

type Outcome =
  | { readonly kind: 'end'; readonly finishReason: string | null; readonly usage: Usage | null }
  | {
      readonly kind: 'fail';
      readonly code: ErrorCode;
      readonly detail: string;
      readonly usage: Usage | null;
      readonly explanation?: string;
    };

/** Why an attempt was stopped from outside. `null`: the coordinator no longer listens, so nothing is reported. */
class Stopped extends Error {
  readonly code: ErrorCode | null;

  constructor(code: ErrorCode | null, reason: string) {
    super(reason);
    this.code = code;
  }
}

/**
 * One attempt: body in, engine's bytes out, one ending. Single writer of its own state.
 *
 *   receiving body ──► asking the engine ──► streaming ──► ended (end | fail), always exactly once
 *         └── stop() from anywhere closes the engine's connection, which is what makes the engine stop
 *
 * Flow control: it starts with `windowBytes` of credit; at zero it stops reading from the engine until the coordinator, whose client
 * reads slowly, grants more. Other attempts are not affected.
 */
export class AttemptRunner {
  readonly start: Start;
  readonly ended: Promise<void>;
  readonly #runtime: Runtime;
  readonly #sink: AttemptSink;
  readonly #log: Logger;
  readonly #prepare: () => Promise<void>;
  readonly #abort = new AbortController();
  readonly #body: Buffer[] = [];
  readonly #startedAtMs = performance.now();
  #bodyReceived: (() => void) | undefined;
  #credit: number;
  #onCredit: (() => void) | undefined;
  #firstContentAtMs: number | null = null;
  #response: http.IncomingMessage | undefined;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(options: {
    start: Start;
    runtime: Runtime;
    sink: AttemptSink;
    log: Logger;
    /** What has to be so before the engine is asked: the model in memory, by a load of its own that outlives this attempt. */
    prepare?: () => Promise<void>;
  }) {
    this.start = options.start;
    this.#runtime = options.runtime;
    this.#sink = options.sink;
    this.#log = options.log;
    this.#credit = options.start.windowBytes;
    this.#prepare = options.prepare ?? (async () => {});
    this.ended = this.#run();
  }

  receiveBody(bytes: Uint8Array, isLast: boolean): void {
    this.#body.push(Buffer.from(bytes));
    if (isLast) this.#bodyReceived?.();
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > 0) this.#onCredit?.();
    if (this.#credit <= 0 || this.#response?.isPaused() !== true) return;
    this.#watch(this.start.deadlines.stallMs, 'stall_timeout');
    this.#response.resume();
  }

  /** Stops generating now. With a code the coordinator is told why; without, it has already gone or asked for this itself. */
  stop(code: ErrorCode | null, reason: string): void {
    this.#abort.abort(new Stopped(code, reason));
  }

  async #run(): Promise<void> {
    const total = setTimeout(() => this.stop('deadline_exceeded', 'total deadline'), this.start.deadlines.totalMs);
    const outcome = await this.#ask().catch((error: unknown) => this.#outcomeOf(error));
    clearTimeout(total);
    clearTimeout(this.#watchdog);
    if (outcome !== null) this.#report(outcome);
  }

  async #ask(): Promise<Outcome> {
    await this.#receiveBody();
    this.#watch(this.start.deadlines.firstContentMs, 'first_token_timeout');
    await Promise.race([this.#prepare(), this.#stopped()]);
    const sent = Buffer.concat(this.#body.splice(0));
    const engineName = this.#runtime.engineName?.(this.start.model);
    return this.#askEngine(engineName === undefined ? sent : withModel(sent, engineName));
  }

  /** Asks again with shorter inputs where the client allows that and the engine has no room for them. */
  async #askEngine(body: Buffer, cuts = 0): Promise<Outcome> {
    const { route } = this.start;
    const { url, headers } = this.#runtime.endpoint(route);
    const response = await openEngineRequest({
      ...{ url, body, method: 'POST', signal: this.#abort.signal },
      headers: { ...headers, ...contentTypeOf(route, body) },
    });
    this.#response = response;
    const status = response.statusCode ?? 0;
    if (status >= 200 && status <= 299)
      return STREAMED.has(route)
        ? this.#relayStream(response)
        : this.#relayWhole(response, { isPlain: isPlainAnswer(route, body) });
    const text = await readText(response, 64 * 1024);
    const shorter = route === 'embeddings' && cuts < MOST_CUTS ? cutInputs(body, text) : null;
    return shorter === null ? this.#refused(status, text) : this.#askEngine(shorter, cuts + 1);
  }

  /**
   * The engine said no. Why it calls a request invalid is the sender's business; its other troubles are ours, and its words about them
   * go nowhere (not into the log either: they may quote the prompt).
   */
  #refused(status: number, text: string): Outcome {
    const code = this.#runtime.classifyError?.(status, text) ?? classifyEngineError(status, text);
    const explanation = ERRORS[code].status === 400 ? explainRefusal(text) : undefined;
    return { ...failed(code, `HTTP ${status}`), ...(explanation === undefined ? {} : { explanation }) };
  }

  #receiveBody(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#bodyReceived = resolve;
    return Promise.race([promise, this.#stopped()]);
  }

  #credited(): Promise<void> {
    if (this.#credit > 0) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onCredit = resolve;
    return Promise.race([promise, this.#stopped()]);
  }

  /** Rejects when the attempt is stopped from outside. */
  #stopped(): Promise<never> {
    const { promise, reject } = Promise.withResolvers<never>();
    const { signal } = this.#abort;
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    // Heard only by whoever races it.
    promise.catch(() => {});
    return promise;
  }

  /** Engines also report errors under status 200, and send answers that have nothing in them. */
  async #relayWhole(response: http.IncomingMessage, asked: { isPlain: boolean }): Promise<Outcome> {
    const answer = readWhole(this.start.route, await readText(response, 64 * 1024 * 1024), asked);
    if (answer.kind === 'error') return this.#reportedError(answer.text, null);
    if (answer.kind === 'missing') return failed('engine_error', answer.detail);
    const bytes = Buffer.from(answer.text);
    for (let at = 0; at < bytes.length || at === 0; at += BODY_PIECE_BYTES) {
      await this.#credited();
      this.#sendChunk('content', bytes.subarray(at, at + BODY_PIECE_BYTES));
    }
    return { kind: 'end', finishReason: 'stop', usage: usageOfWhole(answer.usage) };
  }

  /** What it says goes nowhere: it may quote the prompt. */
  #reportedError(text: string, usage: Usage | null): Outcome {
    const code = this.#runtime.classifyError?.(500, text) ?? classifyEngineError(500, text);
    return failed(code, 'the engine reported an error in its answer', usage);
  }

  #relayStream(response: http.IncomingMessage): Promise<Outcome> {
    const scanner = new StreamScanner(new Normaliser());
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const end = () => {
      const { pieces, ending } = scanner.finish();
      for (const piece of pieces) this.#sendChunk(piece.kind, piece.bytes);
      if (ending.kind === 'complete') resolve({ kind: 'end', finishReason: ending.finishReason, usage: ending.usage });
      else if (ending.kind === 'error') resolve(this.#reportedError(ending.text, ending.usage));
      else resolve(failed('incomplete_answer', ending.detail, ending.usage));
    };
    response.on('data', (bytes: Buffer) => {
      for (const piece of scanner.push(bytes)) this.#sendChunk(piece.kind, piece.bytes);
      if (scanner.hasFailed) end();
      else if (scanner.isTooLong) reject(new RuntimeError('engine_error', `an event of more than ${MAX_EVENT_BYTES} bytes`));
      else return;
      response.destroy();
    });
    response.on('end', () => {
      // A body that ends with its connection (HTTP/1.0, as mlx_lm.server speaks it) ends so when it was we who hung up, too.
      if (this.#abort.signal.aborted) reject(this.#abort.signal.reason);
      else end();
    });
    response.on('close', () => {
      if (response.readableEnded) return;
      // The engine's connection broke, or we broke it.
      reject(this.#abort.signal.aborted ? this.#abort.signal.reason : new RuntimeError('engine_crashed', 'connection closed'));
    });
    response.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        this.#abort.signal.aborted
          ? this.#abort.signal.reason
          : new RuntimeError(classifySocketError(error.code, true), error.message),
      ),
    );
    return promise;
  }

  #sendChunk(kind: ChunkKind, bytes: Uint8Array): void {
    if (kind === 'content') this.#firstContentAtMs ??= performance.now();
    if (this.#firstContentAtMs !== null) this.#watch(this.start.deadlines.stallMs, 'stall_timeout');
    // Larger frames than the coordinator takes would cost the node its connection; a whole answer may have many megabytes.
    for (let at = 0; at < bytes.length || at === 0; at += BODY_PIECE_BYTES)
      this.#sink.sendData(encodeData(kind, this.start.stream, bytes.subarray(at, at + BODY_PIECE_BYTES)));
    this.#credit -= bytes.length;
    if (this.#credit <= 0) {
      // Waiting for the client is not the engine's stall.
      clearTimeout(this.#watchdog);
      this.#watchdog = undefined;
      this.#response?.pause();
    }
  }

  #watch(limitMs: number, code: ErrorCode): void {
    if (this.#watchdog && this.#isWatching === code) {
      this.#watchdog.refresh();
      return;
    }
    clearTimeout(this.#watchdog);
    this.#isWatching = code;
    this.#watchdog = setTimeout(() => this.stop(code, `nothing for ${limitMs} ms`), limitMs);
  }
  #isWatching: ErrorCode | undefined;

  #outcomeOf(error: unknown): Outcome | null {
    if (error instanceof Stopped) return error.code === null ? null : failed(error.code, error.message);
    if (error instanceof RuntimeError) return failed(error.code, error.detail);
    return failed('internal_error', error instanceof Error ? error.message : String(error));
  }

  #report(outcome: Outcome): void {
    const { attemptId } = this.start;
    if (outcome.kind === 'end') {
      this.#sink.send({
        type: 'attempt.end',
        attemptId,
        finishReason: outcome.finishReason,
        usage: outcome.usage,
        timings: this.#timings(),
      });
      return;
    }
    this.#log.warn({ attemptId, requestId: this.start.requestId, code: outcome.code, detail: outcome.detail }, 'attempt failed');
    this.#sink.send({
      type: 'attempt.fail',
      attemptId,
      code: outcome.code,
      detail: outcome.detail.slice(0, 2_000),
      usage: outcome.usage,
      ...(outcome.explanation === undefined ? {} : { explanation: outcome.explanation }),
    });
  }

  #timings(): AttemptTimings {
    const since = (ms: number | null) => (ms === null ? null : ms - this.#startedAtMs);
    return { firstContentMs: since(this.#firstContentAtMs), totalMs: performance.now() - this.#startedAtMs };
  }
}

const failed = (code: ErrorCode, detail: string, usage: Usage | null = null): Outcome => ({ kind: 'fail', code, detail, usage });
