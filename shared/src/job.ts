import { z } from 'zod';

const seconds = z.number().int().nullable();

/** An asynchronous job as its owner sees it. Times in Unix seconds, as everywhere in OpenAI's API. */
export const Job = z.object({
  id: z.string(),
  object: z.literal('job'),
  status: z.enum(['queued', 'running', 'completed', 'failed', 'canceled']),
  route: z.string(),
  model: z.string(),
  priority: z.enum(['interactive', 'normal', 'batch']),
  created_at: seconds,
  started_at: seconds,
  finished_at: seconds,
  expires_at: seconds,
  /** The machine that answered. */
  node: z.string().nullable(),
  /** What the request would have been answered with. */
  result: z.unknown(),
  error: z
    .object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() })
    .nullable(),
});
export type Job = z.infer<typeof Job>;
