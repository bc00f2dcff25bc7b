import { z } from 'zod';
import { callEngine } from './engine-http.ts';
import { LlamaServer } from './llama-server.ts';

const MockState = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      slots: z.number().int(),
      capabilities: z.array(z.string()),
      diskBytes: z.number(),
      vramBytes: z.number(),
    }),
  ),
});

/**
 * The runtime of a mock engine, somebody else's unless `onClose` ends it. Every answer of a mock engine says that it is simulated, and so
 * does everything that shows this runtime. It speaks llama-server's router dialect.
 */
export const mockRuntime = (url: string, onClose: () => Promise<void> = async () => {}): LlamaServer =>
  new LlamaServer({
    url,
    kind: 'mock',
    mode: 'owned',
    isSimulated: true,
    facts: async (signal) => {
      const { models } = await callEngine(new URL('/_mock/state?recent=0', url), MockState, { signal });
      return new Map(models.map(({ name, diskBytes, ...facts }) => [name, { ...facts, sizeBytes: diskBytes }]));
    },
    onClose,
  });
