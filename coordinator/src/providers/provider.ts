import { readFileSync } from 'node:fs';
import type { ProviderEntry, ProviderModelEntry, ProvidersFile } from '../configuration/providers-file.ts';
import type { ProviderModel } from '../routing/fleet-facts.ts';
import type { ProviderPlace } from '../routing/route.ts';
import { isServed, SERVED_KINDS } from './catalog.ts';

/** A provider as configured, ready to be asked. */
export interface Provider {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly place: ProviderPlace;
  readonly isEnabled: boolean;
  /** Base URL without a slash at its end. */
  readonly endpoint: string;
  readonly chatUrl: URL;
  readonly embeddingsUrl: URL;
  readonly modelsUrl: URL;
  readonly healthUrl: URL;
  /** Headers that prove who asks; the key is in them and nowhere else. */
  readonly auth: Readonly<Record<string, string>>;
  /** Set when the provider wants a key and none was found: the sentence that says which setting is missing. */
  readonly keyProblem: string | null;
  readonly maxConcurrent: number;
  readonly maxRetries: number;
  readonly connectTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly healthIntervalMs: number;
  readonly healthTimeoutMs: number;
  readonly needsDone: boolean;
  readonly models: readonly ProviderModel[];
  readonly defaultModel: string | null;
}

/** Home: 5 s to connect and 60 s between bytes; cloud: 10 s and 120 s. */
const TIMEOUTS = { home: { connectMs: 5_000, readMs: 60_000 }, cloud: { connectMs: 10_000, readMs: 120_000 } } as const;

/** Providers in the order of their priority, lowest number first. */
export const providersFrom = (file: ProvidersFile, env: NodeJS.ProcessEnv): readonly Provider[] =>
  file.providers
    .toSorted((a, b) => a.priority - b.priority)
    .flatMap((entry) => {
      const models = file.models.filter(({ providerId }) => providerId.toLowerCase() === entry.id.toLowerCase());
      return isServed(entry.type) ? [providerFrom(entry, models, env)] : [];
    });

const providerFrom = (entry: ProviderEntry, models: readonly ProviderModelEntry[], env: NodeJS.ProcessEnv): Provider => {
  const facts = isServed(entry.type) ? SERVED_KINDS[entry.type] : SERVED_KINDS['openai-compatible'];
  const endpoint = (entry.endpoint ?? facts.endpoint ?? '').replace(/\/+$/, '');
  const place = entry.location === undefined ? facts.place : HOME.has(entry.location) ? 'home' : 'cloud';
  const at = (path: string) => new URL(`${endpoint}${path}`);
  const key = keyFor(entry, env);
  return {
    ...{ id: entry.id, name: entry.name ?? entry.id, kind: entry.type, place, isEnabled: entry.enabled, endpoint },
    chatUrl: at(facts.chatPath),
    embeddingsUrl: at(facts.embeddingsPath),
    modelsUrl: at(facts.modelsPath),
    healthUrl: at(entry.healthCheckPath ?? facts.modelsPath),
    auth: { ...entry.headers, ...authHeaders(entry, facts.auth, key) },
    keyProblem: key === null && wantsKey(entry, facts.auth) ? missingKey(entry) : null,
    maxConcurrent: entry.maxConcurrent ?? facts.maxConcurrent,
    maxRetries: entry.maxRetries ?? 1,
    connectTimeoutMs: entry.connectTimeoutMs ?? TIMEOUTS[place].connectMs,
    readTimeoutMs: entry.readTimeoutMs ?? TIMEOUTS[place].readMs,
    healthIntervalMs: entry.healthCheckInterval * 1_000,
    healthTimeoutMs: entry.healthCheckTimeout * 1_000,
    needsDone: entry.doneMarker !== false,
    models: models.map(modelFrom),
    defaultModel: models.find(({ isDefault }) => isDefault)?.id ?? models[0]?.id ?? null,
  };
};

const HOME: ReadonlySet<string> = new Set(['local', 'home']);

const modelFrom = (entry: ProviderModelEntry): ProviderModel => {
  const { capabilities: can, contextWindow } = entry;
  const perMillion = (price: number | undefined) => (price === undefined ? null : price * 1_000);
  return {
    id: entry.id,
    capabilities: [
      ...(can?.embeddings ? ['embedding'] : ['chat']),
      ...(can?.functionCalling ? ['tools'] : []),
      ...(can?.vision ? ['vision'] : []),
      ...(can?.jsonMode ? ['json'] : []),
      ...(can?.thinking ? ['thinking'] : []),
    ],
    contextLength: contextWindow ?? null,
    inputPrice: perMillion(entry.inputPer1kTokens ?? entry.costPer1kTokens),
    outputPrice: perMillion(entry.outputPer1kTokens ?? entry.costPer1kTokens),
    isFree: entry.isFree ?? false,
  };
};

const wantsKey = ({ authType }: ProviderEntry, auth: 'bearer' | 'api-key' | 'none'): boolean =>
  authType === undefined ? auth !== 'none' : authType !== null && authType !== 'none';

const authHeaders = (entry: ProviderEntry, auth: 'bearer' | 'api-key' | 'none', key: string | null): Record<string, string> => {
  if (key === null) return {};
  const isApiKey = entry.authType === undefined || entry.authType === null ? auth === 'api-key' : entry.authType === 'api_key';
  return isApiKey ? { [(entry.authHeader ?? 'api-key').toLowerCase()]: key } : { authorization: `Bearer ${key}` };
};

/** A name of a variable is looked up; the environment's other keys are never taken instead. */
const keyFor = ({ authSecret }: ProviderEntry, env: NodeJS.ProcessEnv): string | null => {
  if (!authSecret) return null;
  if (authSecret.startsWith('file:')) {
    try {
      return readFileSync(authSecret.slice('file:'.length), 'utf8').trim() || null;
    } catch {
      return null;
    }
  }
  return /^[A-Z][A-Z0-9_]*$/.test(authSecret) ? env[authSecret] || null : authSecret;
};

const missingKey = ({ authSecret, id }: ProviderEntry): string =>
  !authSecret
    ? `no key: set authSecret of ${id} in providers.yaml, or its type of authentication to none`
    : authSecret.startsWith('file:')
      ? `no key: the file of authSecret cannot be read or is empty`
      : `no key: the environment variable ${authSecret} is not set`;
