import { setTimeout as pause } from 'node:timers/promises';
import type { Frame } from '@lai/shared/attempt';
import { CodedError, type ErrorCode } from '@lai/shared/errors';
import type { Logger } from 'pino';
import type { ProvidersFile } from '../configuration/providers-file.ts';
import type { ProviderModel, RoutingProvider } from '../routing/fleet-facts.ts';
import type { ProviderStep } from '../routing/route.ts';
import { modelsIn } from './discovery.ts';
import { classify } from './failure-class.ts';
import { type Provider, providersFrom } from './provider.ts';
import { attemptProvider, type ProviderCall } from './provider-attempt.ts';
import { cooldownMs, type HealthEvent, type HealthState, nextHealth, unknownHealth } from './provider-state.ts';
import { callUpstream, readShort } from './upstream.ts';

/** Before the one retry of a transient failure. */
const RETRY_MS = 1_000;
/** A list of models is asked for once an hour, with a health check. */
const MODELS_TTL_MS = 60 * 60_000;

/** Lists of hundreds of models with their prices. */
const MODELS_BYTES = 4 * 1024 * 1024;

/** What is shown of a provider; nothing in it is secret. */
export interface ProviderView extends HealthState {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly place: Provider['place'];
  readonly isEnabled: boolean;
  readonly active: number;
  readonly maxConcurrent: number;
  readonly models: readonly ProviderModel[];
}

interface Known {
  readonly provider: Provider;
  state: HealthState;
  active: number;
  discovered: readonly ProviderModel[];
  discoveredAtMs: number | null;
  /** By model; the empty name is the whole provider. */
  readonly coolingUntilMs: Map<string, number>;
  timer: NodeJS.Timeout | null;
  /** Ends its health check, and none of the requests that run. */
  readonly closing: AbortController;
}

export interface ProviderRefusal {
  readonly reason: string;
  readonly detail: string;
}

/** Providers as configured, and what is known of them. Single writer of their health, cooldowns and counts. */
export class Providers {
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: Logger;
  readonly #nowMs: () => number;
  #known = new Map<string, Known>();

  constructor(options: { env: NodeJS.ProcessEnv; nowMs: () => number; log: Logger }) {
    this.#env = options.env;
    this.#log = options.log;
    this.#nowMs = options.nowMs;
  }

  /** Takes another configuration. Providers that stay as they were keep what is known of them; requests that run go on. */
  apply(file: ProvidersFile): void {
    const before = this.#known;
    this.#known = new Map();
    for (const provider of providersFrom(file, this.#env)) {
      const was = before.get(provider.id);
      const isSame = was !== undefined && JSON.stringify(was.provider) === JSON.stringify(provider);
      if (isSame) before.delete(provider.id);
      this.#known.set(provider.id, isSame ? was : this.#begin(provider));
    }
    for (const gone of before.values()) this.#end(gone);
  }

  close(): void {
    for (const known of this.#known.values()) this.#end(known);
  }

  views(): readonly ProviderView[] {
    return [...this.#known.values()].map((known) => {
      const { id, name, kind, place, isEnabled, maxConcurrent } = known.provider;
      return { id, name, kind, place, isEnabled, maxConcurrent, active: known.active, models: modelsOf(known), ...known.state };
    });
  }

  /** What routing is told. */
  facts(): readonly RoutingProvider[] {
    return [...this.#known.values()].map((known) => ({
      ...{ id: known.provider.id, place: known.provider.place, isEnabled: known.provider.isEnabled, isGaming: false },
      defaultModel: known.provider.defaultModel ?? known.discovered[0]?.id ?? null,
      models: modelsOf(known),
    }));
  }

  /** Why the provider is not asked now; null when it is. */
  refusal({ providerId, model }: ProviderStep): ProviderRefusal | null {
    const known = this.#known.get(providerId);
    if (!known?.provider.isEnabled)
      return { reason: 'provider_disabled', detail: `${providerId} is not configured, or disabled` };
    const { provider, state, active } = known;
    if (provider.keyProblem !== null) return { reason: 'misconfigured', detail: provider.keyProblem };
    if (state.health === 'offline' || state.health === 'misconfigured')
      return { reason: state.health, detail: state.detail ?? state.health };
    const untilMs = Math.max(known.coolingUntilMs.get('') ?? 0, known.coolingUntilMs.get(model) ?? 0);
    const restMs = untilMs - this.#nowMs();
    if (restMs > 0) return { reason: 'cooling', detail: `asked to be left alone for ${Math.ceil(restMs / 1_000)} s` };
    if (active >= provider.maxConcurrent)
      return { reason: 'provider_capacity_exceeded', detail: `${active} of ${provider.maxConcurrent} requests run there` };
    return null;
  }

  /** One request, with one retry of what is transient while nothing of the answer has come. The last frame is `end` or `failed`. */
  async *ask(step: ProviderStep, call: Pick<ProviderCall, 'route' | 'body' | 'signal'>): AsyncGenerator<Frame, void> {
    const refused = this.refusal(step);
    const known = this.#known.get(step.providerId);
    if (refused || !known) {
      yield refusalFrame(step.providerId, refused);
      return;
    }
    known.active += 1;
    try {
      for (let tries = 0; ; tries++) {
        const again = yield* this.#once(known, step, call, tries < known.provider.maxRetries);
        if (!again) return;
        await pause(RETRY_MS, undefined, { signal: call.signal }).catch(() => {});
      }
    } finally {
      known.active -= 1;
    }
  }

  /** True when it should be tried once more. */
  async *#once(
    known: Known,
    step: ProviderStep,
    call: Pick<ProviderCall, 'route' | 'body' | 'signal'>,
    mayRetry: boolean,
  ): AsyncGenerator<Frame, boolean> {
    const startedAtMs = this.#nowMs();
    let hasBegun = false;
    for await (const frame of attemptProvider({ ...call, provider: known.provider, permit: step.permit })) {
      if (frame.kind !== 'failed') {
        hasBegun ||= frame.kind === 'chunk';
        if (frame.kind === 'end') this.#tell(known, { kind: 'answered', latencyMs: this.#nowMs() - startedAtMs }, true);
        yield frame;
        continue;
      }
      const { failure, ...rest } = frame;
      this.#failed(known, step.model, failure.code, failure.retryAfterMs, frame.detail ?? failure.code);
      if (failure.isTransient && !hasBegun && mayRetry && !call.signal.aborted) return true;
      yield rest;
    }
    return false;
  }

  #failed(known: Known, model: string, code: ErrorCode, retryAfterMs: number | null, detail: string): void {
    if (code === 'canceled') return;
    this.#tell(known, { kind: 'failed', code, detail }, false);
    const restMs = cooldownMs(code, retryAfterMs);
    if (restMs > 0) known.coolingUntilMs.set(code === 'provider_quota_exhausted' ? '' : model, this.#nowMs() + restMs);
    this.#log.warn({ provider: known.provider.id, model, code, cooldownMs: restMs }, 'provider failed a request');
  }

  /** A long answer is no slow provider: requests only say that it works. */
  #tell(known: Known, event: HealthEvent, isRequest: boolean): void {
    const before = known.state;
    const latencyMs = before.latencyMs ?? 0;
    known.state = nextHealth(before, event.kind === 'answered' && isRequest ? { kind: 'answered', latencyMs } : event);
    if (known.state.health !== before.health)
      this.#log.info({ provider: known.provider.id, health: known.state.health, detail: known.state.detail }, 'provider changed');
  }

  #begin(provider: Provider): Known {
    const known: Known = {
      provider,
      state:
        provider.keyProblem === null ? unknownHealth : { ...unknownHealth, health: 'misconfigured', detail: provider.keyProblem },
      ...{
        active: 0,
        discovered: [],
        discoveredAtMs: null,
        coolingUntilMs: new Map(),
        timer: null,
        closing: new AbortController(),
      },
    };
    if (provider.isEnabled && provider.keyProblem === null) void this.#check(known);
    return known;
  }

  #end(known: Known): void {
    known.closing.abort();
    if (known.timer) clearTimeout(known.timer);
  }

  async #check(known: Known): Promise<void> {
    const { provider, closing } = known;
    const startedAtMs = this.#nowMs();
    try {
      const isDue =
        provider.models.length === 0 && this.#nowMs() - (known.discoveredAtMs ?? Number.NEGATIVE_INFINITY) > MODELS_TTL_MS;
      const body = await this.#get(provider, isDue ? provider.modelsUrl : provider.healthUrl, closing.signal);
      if (isDue) {
        known.discovered = modelsIn(body);
        known.discoveredAtMs = this.#nowMs();
      }
      this.#tell(known, { kind: 'answered', latencyMs: this.#nowMs() - startedAtMs }, false);
    } catch (error) {
      const { code, detail } = error instanceof CodedError ? error : { code: 'provider_error' as const, detail: undefined };
      if (!closing.signal.aborted) this.#tell(known, { kind: 'failed', code, detail: detail ?? code }, false);
    }
    if (closing.signal.aborted) return;
    known.timer = setTimeout(() => void this.#check(known), provider.healthIntervalMs);
    known.timer.unref();
  }

  async #get(provider: Provider, url: URL, signal: AbortSignal): Promise<string> {
    const { healthTimeoutMs } = provider;
    const response = await callUpstream({
      ...{ url, method: 'GET', headers: { ...provider.auth, accept: 'application/json' }, body: null, signal },
      connectTimeoutMs: Math.min(provider.connectTimeoutMs, healthTimeoutMs),
      readTimeoutMs: healthTimeoutMs,
    });
    const status = response.statusCode ?? 0;
    const body = await readShort(response, healthTimeoutMs, MODELS_BYTES);
    if (status >= 200 && status <= 299) return body;
    const { code } = classify({ status, headers: response.headers, body });
    throw new CodedError(code === 'request_refused' || code === 'model_not_found' ? 'provider_error' : code, {
      detail: `the health check was answered with HTTP ${status}`,
    });
  }
}

/** What a client is told that asked for nothing else than this provider. */
const refusalFrame = (id: string, refused: ProviderRefusal | null): Frame => {
  const { reason, detail } = refused ?? { reason: 'provider_disabled', detail: 'it is not configured' };
  const code = CODES[reason] ?? 'provider_unreachable';
  return {
    kind: 'failed',
    code,
    message: `${id} is not asked now (${reason}): ${detail}. It is asked again as soon as it can answer.`,
  };
};

const CODES: Readonly<Record<string, ErrorCode>> = {
  provider_capacity_exceeded: 'provider_capacity_exceeded',
  misconfigured: 'provider_auth_failed',
  cooling: 'provider_rate_limited',
};

const modelsOf = ({ provider, discovered }: Known): readonly ProviderModel[] =>
  provider.models.length > 0 ? provider.models : discovered;
