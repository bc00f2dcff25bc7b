import { CAPABILITIES } from '@lai/shared/node';
import { z } from 'zod';

/** What a request needs of the model that answers it. All requests of one target are the same to the scheduler. */
export const Target = z.object({
  /** A model's name, or `auto` for any that can do it. */
  model: z.string(),
  capabilities: z.array(z.enum(CAPABILITIES)).readonly(),
  /** Tokens that prompt and answer need at least; estimated. */
  contextTokens: z.number(),
});
export type Target = Readonly<z.infer<typeof Target>>;

export const AUTO = 'auto';
