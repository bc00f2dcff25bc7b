import { env } from 'node:process';
import { describe } from 'vitest';
import { type EngineUnderTest, runtimeConformance } from '../../agent/src/runtimes/conformance.ts';
import { Vllm } from '../../agent/src/runtimes/vllm.ts';

/**
 * A real vLLM, where somebody has one: VLLM_URL is its address, VLLM_MODEL the served name (the first one otherwise), VLLM_API_KEY its
 * key. It is theirs: nothing here stops, crashes or puts it to sleep, so what needs that is left to the simulated one.
 */
const url = env['VLLM_URL'];
const apiKey = env['VLLM_API_KEY'];
if (url === undefined) console.warn('SKIPPED: every test against a real vLLM. Set VLLM_URL to the address of one.');

const firstModel = async (): Promise<string> => {
  const runtime = new Vllm({ url: url ?? '', ...(apiKey === undefined ? {} : { apiKey }) });
  const model = env['VLLM_MODEL'] ?? (await runtime.listModels(AbortSignal.timeout(10_000)))[0]?.id;
  if (model === undefined) throw new Error(`the vLLM at ${url} serves no model`);
  return model;
};

describe.skipIf(url === undefined)(url === undefined ? 'SKIPPED, no VLLM_URL: a real vLLM' : `a real vLLM at ${url}`, () => {
  runtimeConformance('vLLM', {
    limitMs: 60_000,
    tells: { size: false },
    mayBeHarmed: false,
    start: async (): Promise<EngineUnderTest> => ({
      runtime: new Vllm({ url: url ?? '', ...(apiKey === undefined ? {} : { apiKey }) }),
      chat: await firstModel(),
      embedding: null,
      crash: async () => {},
      kill: async () => {},
      close: async () => {},
    }),
  });
});
