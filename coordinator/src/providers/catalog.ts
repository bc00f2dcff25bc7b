import type { ServedType } from '../configuration/providers-file.ts';
import type { ProviderPlace } from '../routing/route.ts';

/** What is known of a kind of provider that speaks OpenAI's API. A new one is a row here. */
export interface ProviderKindFacts {
  /** Base URL where the operator names none; null where there is no such thing. */
  readonly endpoint: string | null;
  /** Appended to the base URL. */
  readonly chatPath: string;
  readonly embeddingsPath: string;
  readonly modelsPath: string;
  readonly auth: 'bearer' | 'api-key' | 'none';
  readonly place: ProviderPlace;
  readonly maxConcurrent: number;
}

const OPENAI_PATHS = { chatPath: '/chat/completions', embeddingsPath: '/embeddings', modelsPath: '/models' } as const;

/** Kinds that are served. Sources of the facts: each provider's own reference pages, read in November 2026. */
export const SERVED_KINDS = {
  openai: { endpoint: 'https://api.openai.com/v1', ...OPENAI_PATHS, auth: 'bearer', place: 'cloud', maxConcurrent: 100 },
  /** The v1 API: `https://RESOURCE.openai.azure.com/openai/v1`; a model is the name of a deployment. */
  azure: { endpoint: null, ...OPENAI_PATHS, auth: 'api-key', place: 'cloud', maxConcurrent: 100 },
  huggingface: {
    endpoint: 'https://router.huggingface.co/v1',
    ...OPENAI_PATHS,
    auth: 'bearer',
    place: 'cloud',
    maxConcurrent: 16,
  },
  /** Refuses a second request at once on some plans. */
  zai: { endpoint: 'https://api.z.ai/api/paas/v4', ...OPENAI_PATHS, auth: 'bearer', place: 'cloud', maxConcurrent: 1 },
  openwebui: {
    endpoint: null,
    chatPath: '/api/chat/completions',
    embeddingsPath: '/api/embeddings',
    modelsPath: '/api/models',
    ...({ auth: 'bearer', place: 'home', maxConcurrent: 16 } as const),
  },
  ollama: {
    endpoint: 'http://127.0.0.1:11434',
    chatPath: '/v1/chat/completions',
    embeddingsPath: '/v1/embeddings',
    modelsPath: '/v1/models',
    ...({ auth: 'none', place: 'home', maxConcurrent: 4 } as const),
  },
  'openai-compatible': { endpoint: null, ...OPENAI_PATHS, auth: 'bearer', place: 'cloud', maxConcurrent: 16 },
} as const satisfies Record<ServedType, ProviderKindFacts>;

export const isServed = (kind: string): kind is ServedType => Object.hasOwn(SERVED_KINDS, kind);
