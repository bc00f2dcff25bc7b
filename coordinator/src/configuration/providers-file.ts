import { z } from 'zod';
import { type FileReading, type Problem, readFileText } from './read-file.ts';

/** Kinds that speak OpenAI's API, and are passed through. */
export const SERVED_TYPES = ['openai', 'azure', 'huggingface', 'zai', 'openwebui', 'ollama', 'openai-compatible'] as const;
export type ServedType = (typeof SERVED_TYPES)[number];
/** Kinds of the seeds whose own API is not spoken. */
const OTHER_TYPES = ['anthropic', 'gemini', 'cohere', 'bedrock', 'opencode', 'mock'] as const;

/** Part of addresses, metrics and names that clients send: `openai/gpt-4o-mini`. */
const Id = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/i, 'an id has letters, digits, dots, dashes and underscores, at most 64');
const price = z.number().nonnegative().max(1_000_000);

/** One provider, as the seeds write it, with a few keys more. */
export const ProviderEntry = z.strictObject({
  id: Id,
  name: z.string().trim().min(1).max(128).optional(),
  type: z.enum([...SERVED_TYPES, ...OTHER_TYPES]),
  endpoint: z
    .url({ protocol: /^https?$/, error: 'an address such as https://api.openai.com/v1' })
    .optional()
    .describe('Base URL; what precedes /chat/completions, or the kind’s own routes.'),
  priority: z.number().int().min(0).max(1_000).default(100),
  enabled: z.boolean().default(true),
  maxConcurrent: z.number().int().min(1).max(10_000).optional(),
  gpu: z.string().max(128).optional(),
  location: z.enum(['local', 'remote', 'home', 'cloud']).optional().describe('`local` or `home`: in the private network.'),
  healthCheckInterval: z.number().int().min(5).max(3_600).default(30).describe('Seconds.'),
  healthCheckTimeout: z.number().int().min(1).max(60).default(5).describe('Seconds.'),
  healthCheckPath: z.string().startsWith('/').max(512).optional(),
  authType: z.enum(['none', 'api_key', 'bearer']).nullable().optional(),
  authSecret: z
    .string()
    .min(1)
    .max(4_096)
    .nullable()
    .optional()
    .describe('Name of an environment variable, `file:` and a path, or the secret itself.'),
  authHeader: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/)
    .optional()
    .describe('Header that carries an `api_key`; `api-key` when absent.'),
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/), z.string().max(1_024)).optional(),
  doneMarker: z.boolean().optional().describe('False: the provider ends its streams without [DONE].'),
  maxRetries: z.number().int().min(0).max(3).optional(),
  connectTimeoutMs: z.number().int().min(100).max(120_000).optional(),
  readTimeoutMs: z.number().int().min(1_000).max(600_000).optional(),
});
export type ProviderEntry = z.infer<typeof ProviderEntry>;

export const ProviderModelEntry = z.strictObject({
  id: z.string().trim().min(1).max(512),
  name: z.string().max(256).optional(),
  providerId: Id,
  contextWindow: z.number().int().positive().optional(),
  maxTokens: z.number().int().positive().optional(),
  isDefault: z.boolean().default(false),
  costPer1kTokens: price.optional().describe('Of prompt and completion tokens alike, in the currency of the settings.'),
  inputPer1kTokens: price.optional(),
  outputPer1kTokens: price.optional(),
  cachedPer1kTokens: price.optional(),
  isFree: z.boolean().optional().describe('A free tier: preferred by `prefer: cheapest`.'),
  capabilities: z
    .strictObject({
      streaming: z.boolean().optional(),
      functionCalling: z.boolean().optional(),
      vision: z.boolean().optional(),
      jsonMode: z.boolean().optional(),
      embeddings: z.boolean().optional(),
      thinking: z.boolean().optional(),
    })
    .optional(),
  tags: z.array(z.string().max(64)).max(32).optional(),
});
export type ProviderModelEntry = z.infer<typeof ProviderModelEntry>;

/** `providers.yaml`; both keys are optional. */
export const ProvidersFile = z.strictObject({
  providers: z.array(ProviderEntry).max(200).default([]),
  models: z.array(ProviderModelEntry).max(10_000).default([]),
});
export type ProvidersFile = z.infer<typeof ProvidersFile>;

/** Environment variables win over the file: `PROVIDER_{ID}_ENDPOINT`, `_ENABLED`, `_API_KEY`. */
export const readProvidersFile = (file: string, text: string, env: NodeJS.ProcessEnv = {}): FileReading<ProvidersFile> => {
  const reading = readFileText(file, text, ProvidersFile);
  if (reading.kind === 'refused') return reading;
  const { lineOf, value } = reading;
  const problems: Problem[] = [];
  const problem = (path: readonly PropertyKey[], what: string) => problems.push({ file, line: lineOf(path), column: 1, what });
  const ids = new Map<string, number>();
  for (const [index, { id, type, endpoint }] of value.providers.entries()) {
    const first = ids.get(id.toLowerCase());
    if (first !== undefined)
      problem(['providers', index, 'id'], `the id "${id}" is taken by providers.${first}. Choose another one.`);
    ids.set(id.toLowerCase(), first ?? index);
    if (!SERVED_TYPES.some((served) => served === type))
      problem(
        ['providers', index, 'type'],
        `"${id}" is of type ${type}, which is not served yet. Served are ${SERVED_TYPES.join(', ')}.`,
      );
    if (NEEDS_ENDPOINT.has(type) && endpoint === undefined && !env[variable(id, 'ENDPOINT')])
      problem(['providers', index], `"${id}" needs an endpoint: a provider of type ${type} has no address of its own.`);
  }
  for (const [index, { id, providerId }] of value.models.entries())
    if (!ids.has(providerId.toLowerCase()))
      problem(
        ['models', index, 'providerId'],
        `the model "${id}" belongs to "${providerId}", which is no provider of this file.`,
      );
  if (problems.length > 0) return { kind: 'refused', problems };
  const overridden = override(value, env);
  return typeof overridden === 'string'
    ? { kind: 'refused', problems: [{ file: 'environment', line: 1, column: 1, what: overridden }] }
    : { kind: 'ok', value: overridden, lineOf };
};

/** Kinds whose server is the operator's own. */
const NEEDS_ENDPOINT: ReadonlySet<string> = new Set<ServedType>(['azure', 'openwebui', 'openai-compatible']);

const variable = (id: string, what: 'ENDPOINT' | 'ENABLED' | 'API_KEY'): string =>
  `PROVIDER_${id.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_${what}`;

const YES = /^(1|true|yes|on)$/i;
const NO = /^(0|false|no|off)$/i;

/** A string says what is wrong. */
const override = (file: ProvidersFile, env: NodeJS.ProcessEnv): ProvidersFile | string => {
  const providers: ProviderEntry[] = [];
  for (const provider of file.providers) {
    const of = (what: Parameters<typeof variable>[1]) => env[variable(provider.id, what)] || undefined;
    const [endpoint, enabled] = [of('ENDPOINT'), of('ENABLED')];
    if (enabled !== undefined && !YES.test(enabled) && !NO.test(enabled))
      return `${variable(provider.id, 'ENABLED')} is ${JSON.stringify(enabled)}. Write true or false.`;
    const changed = ProviderEntry.safeParse({
      ...provider,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(enabled === undefined ? {} : { enabled: YES.test(enabled) }),
      ...(of('API_KEY') === undefined ? {} : { authSecret: variable(provider.id, 'API_KEY') }),
    });
    if (!changed.success)
      return `${variable(provider.id, 'ENDPOINT')} is no address. Write one such as https://api.openai.com/v1.`;
    providers.push(changed.data);
  }
  return { ...file, providers };
};
