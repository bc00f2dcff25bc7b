import { z } from 'zod';
import { type ErrorCode, errorCodes } from './errors.ts';

/** The runtime's HTTP route an attempt uses. Paths are built by the agent from this closed list, never taken from the wire. */
export const AttemptRoute = z.enum(['chat.completions', 'completions', 'embeddings', 'rerank', 'audio.transcriptions']);
export type AttemptRoute = z.infer<typeof AttemptRoute>;

const count = z.number().int().nonnegative();

export const Usage = z.object({ promptTokens: count, completionTokens: count, cachedTokens: count.default(0) });
export type Usage = z.infer<typeof Usage>;

/** Milliseconds, measured on the node from the moment it took the attempt. */
export const AttemptTimings = z.object({
  firstContentMs: z.number().nonnegative().nullable(),
  totalMs: z.number().nonnegative(),
});
export type AttemptTimings = z.infer<typeof AttemptTimings>;

export const AttemptDeadlines = z.object({
  /** Until the first content byte. */
  firstContentMs: count,
  /** Between two bytes after that. */
  stallMs: count,
  /** For the whole attempt. */
  totalMs: count,
});
export type AttemptDeadlines = z.infer<typeof AttemptDeadlines>;

/** Bytes of answer. `prelude` carries no content yet (role only); `usage` is the usage event alone; `content` is the rest. */
export type ChunkKind = 'prelude' | 'content' | 'usage';

/**
 * What every source of an answer yields, be it a node, another node after failover, or a provider.
 * The last frame is always `end` or `failed`, and there is exactly one of them.
 */
export type Frame =
  | { readonly kind: 'chunk'; readonly chunk: ChunkKind; readonly bytes: Uint8Array }
  | {
      readonly kind: 'end';
      readonly finishReason: string | null;
      readonly usage: Usage | null;
      readonly timings: AttemptTimings | null;
    }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly detail?: string;
      readonly usage?: Usage | null;
    };

/** A code that only a newer peer knows still ends what it is said of: losing the message would leave somebody waiting. */
export const FailureCode = z.enum(errorCodes).catch('internal_error');
