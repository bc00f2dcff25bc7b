import type { IncomingMessage, ServerResponse } from 'node:http';
import { CodedError } from '@lai/shared/errors';
import type { Logger } from 'pino';
import type { Principal } from '../../access/api-keys.ts';
import type { Actor } from '../../access/audit.ts';
import { demand } from '../../access/middleware.ts';
import { systemClock } from '../../dispatch/clock.ts';
import type { Answer, Dispatcher, DispatchRequest, Trail } from '../../dispatch/dispatcher.ts';
import type { RouteLoop } from '../../dispatch/route-loop.ts';
import type { NodeCommands } from '../../nodes/node-commands.ts';
import type { Registry } from '../../nodes/registry.ts';
import { affinityOf, type Conversation } from './affinity.ts';
import type { QuestionSignals } from './question-signals.ts';
import { priorityFromHeaders, timeoutFromHeaders } from './request-options.ts';
import { type RoutingDoor, routeFor } from './request-route.ts';
import { type Ending, type Failed, respondCollected, respondStreaming } from './respond.ts';
import type { Wording } from './wording.ts';

/** The SDKs' own limit for one request. */
const TOTAL_MS = 600_000;
/** A client that does not stream hears nothing meanwhile, and Node's fetch hangs up after 300 s of that. */
const SILENT_MS = 280_000;
/** After its key was revoked a client has this long to take the error. */
const LAST_WORDS_MS = 500;
const INSTEAD_OF_SILENCE =
  'An answer that is not streamed must come within 280 s: ask for a stream, which is held open, or send it to POST /v1/jobs.';

/** One HTTP request of a client that may infer. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly principal: Principal;
  /** Where the client is. */
  readonly address: string;
  /** Aborted when the principal loses its right meanwhile. */
  readonly revoked: AbortSignal;
  readonly requestId: string;
  /** By the clock that only grows (dispatch/clock.ts). */
  readonly receivedAtMs: number;
}

/** In whose name something is done. */
export const actorOf = ({ principal, address }: Pick<Call, 'principal' | 'address'>): Actor => ({
  name: `${principal.name} (${principal.keyId})`,
  origin: address,
});

/** What all surfaces have behind them. */
export interface Door {
  readonly dispatcher: Dispatcher;
  readonly routes: RouteLoop;
  readonly routing: RoutingDoor;
  readonly registry: Registry;
  readonly nodeCommands: NodeCommands;
  readonly queueWaitMs: number;
  readonly keepAliveMs: number;
  readonly maxTextBodyBytes: number;
  readonly log: Logger;
}

/** A client's request, understood: where it may run and what the runtime is to be sent. */
export interface Question extends Pick<DispatchRequest, 'route' | 'target' | 'bodyFor'> {
  readonly signals: QuestionSignals;
  /** What tells one conversation from another; null when there is none. */
  readonly conversation: Conversation | null;
}

/**
 * The one way from every surface into the fleet: a question goes in, and the answer is written to the client in the surface's own
 * words. Throws CodedError while nothing has been written yet. Callers return it instead of waiting for it: while it runs, nothing of
 * the request may be kept but the bytes that an engine is to be sent.
 */
export const serve = (call: Call, door: Door, question: Question, wording: Wording): Promise<void> => {
  const { request, principal, requestId, receivedAtMs } = call;
  demand(principal, 'inference.run');
  const { conversation, target, signals, ...asked } = question;
  const way = routeFor({ target, signals, headers: request.headers }, principal, door.routing);
  const isStreaming = wording.kind === 'stream';
  const timeoutMs = timeoutFromHeaders(request.headers);
  const totalMs = timeoutMs ?? (isStreaming ? TOTAL_MS : SILENT_MS);
  if (call.revoked.aborted) throw new CodedError('invalid_api_key');
  const dispatch = {
    ...asked,
    affinity: affinityOf(request.headers, principal.keyId, conversation),
    requestId,
    keyId: principal.keyId,
    priorityClass: priorityFromHeaders(request.headers) ?? ('interactive' as const),
    queueDeadlineMs: receivedAtMs + Math.min(totalMs, timeoutMs ?? door.queueWaitMs),
    deadlineMs: receivedAtMs + totalMs,
    isCollected: !isStreaming,
  };
  const given = (signal: AbortSignal) => door.routes.answer({ ...dispatch, signal }, way);
  return respond(call, door, wording, {
    given,
    route: asked.route,
    silentUntilMs: isStreaming || timeoutMs !== null ? null : dispatch.deadlineMs,
  });
};

const respond = async (
  call: Call,
  door: Door,
  wording: Wording,
  asked: {
    readonly given: (signal: AbortSignal) => Answer;
    readonly route: string;
    /** The deadline of an answer that is not streamed, where the client named none; null otherwise. */
    readonly silentUntilMs: number | null;
  },
): Promise<void> => {
  const { response, revoked, requestId, receivedAtMs } = call;
  const { given, route, silentUntilMs } = asked;
  const gone = new AbortController();
  response.once('close', () => response.writableFinished || gone.abort());
  const hangUp = () => {
    gone.abort();
    // A client that does not read would hold up the end that it is to be told.
    setTimeout(() => response.writableFinished || response.destroy(), LAST_WORDS_MS).unref();
  };
  revoked.addEventListener('abort', hangUp, { once: true });
  const answer = given(gone.signal);
  const options = { answer, response, requestId, log: door.log, abandon: () => response.destroy() };
  // What ends because the key was revoked ends with that as its reason.
  const reword = (failure: Failed): Failed => {
    if (revoked.aborted) return { kind: 'failed', code: 'invalid_api_key', message: 'This API key was revoked.' };
    const wasSilent = silentUntilMs !== null && systemClock.nowMs() >= silentUntilMs;
    return wasSilent ? { ...failure, message: `${failure.message} ${INSTEAD_OF_SILENCE}` } : failure;
  };
  const ending =
    wording.kind === 'stream'
      ? await respondStreaming({ ...options, reword, wording, keepAliveMs: door.keepAliveMs })
      : await respondCollected({ ...options, reword, wording });
  logAnswer(door.log, { requestId, route, trail: answer.trail, ending, totalMs: systemClock.nowMs() - receivedAtMs });
};

const logAnswer = (
  log: Logger,
  {
    requestId,
    route,
    trail,
    ending,
    totalMs,
  }: { requestId: string; route: string; trail: Trail; ending: Ending | null; totalMs: number },
): void => {
  log.info(
    {
      requestId,
      route,
      outcome: ending === null ? 'canceled' : ending.kind === 'end' ? 'ok' : ending.code,
      attempts: trail.attempts.map(({ nodeName, model, outcome }) => `${nodeName}/${model}: ${outcome}`),
      queueMs: trail.queueMs,
      totalMs,
      usage: ending?.usage ?? null,
    },
    'request ended',
  );
};
