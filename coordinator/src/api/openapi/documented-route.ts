import type { z } from 'zod';

export type Api = 'OpenAI' | 'Anthropic' | 'Ollama' | 'Jobs' | 'Management' | 'Health';

/** One line of the document. Schemas are those that the routes themselves read with, so the two cannot drift apart. */
export interface DocumentedRoute {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** As OpenAPI writes it: `{id}`. */
  readonly path: string;
  readonly api: Api;
  readonly operationId: string;
  readonly summary: string;
  readonly request?: z.ZodType;
  /** Of the request, when it is no JSON. */
  readonly form?: true;
  readonly response?: z.ZodType;
  readonly status?: number;
  /** Content type of a streamed answer, when the request asks for one. */
  readonly stream?: 'text/event-stream' | 'application/x-ndjson';
  readonly event?: z.ZodType;
  /** Open to everybody: no key. */
  readonly isOpen?: true;
  /** By name; each with its description. */
  readonly query?: Readonly<Record<string, z.core.$ZodType>>;
}
