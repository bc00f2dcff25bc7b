import { CAPABILITIES } from '@lai/shared/node';
import { z } from 'zod';

/** What a request needs of the model that answers it. All requests of one target are the same to the scheduler. */
export const Target = z.object({
  /** A model's name, or `auto` for any that can do it. */
  model: z.string(),
  capabilities: z.array(z.enum(CAPABILITIES)).readonly(),
  /** Tokens that prompt and answer need at least; estimated. */
  contextTokens: z.number(),
  /** Ids of the nodes that may serve it, sorted; absent means every node. */
  nodes: z.array(z.string()).readonly().optional(),
  /** Patterns of names that may be meant by `auto`; absent means every model. */
  models: z.array(z.string()).readonly().optional(),
  /** A gaming hold does not stand in its way where the node's owner allows forced requests. */
  overridesGaming: z.literal(true).optional(),
});
export type Target = Readonly<z.infer<typeof Target>>;

export const AUTO = 'auto';
