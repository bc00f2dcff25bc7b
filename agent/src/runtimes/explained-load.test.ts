import { describe, expect, it } from 'vitest';
import { explainedLoad } from './explained-load.ts';
import { RuntimeError } from './runtime.ts';

const failing = (options: {
  error?: Error;
  said?: readonly string[];
  isOthers?: (line: string) => boolean;
  oomKills?: readonly [before: number, after: number];
}) => {
  const kills = [...(options.oomKills ?? [3, 3])];
  return explainedLoad({
    load: () => Promise.reject(options.error ?? new RuntimeError('load_failed', 'it failed')),
    engine: { listen: () => () => options.said ?? [] },
    readOomKills: async () => kills.shift() ?? 0,
    ...(options.isOthers ? { isOthers: options.isOthers } : {}),
  });
};

describe('a load that failed', () => {
  it.each<[string, string]>([
    // Measured: llama-server 0.7.0 with a context of 512 GB.
    ['llama-server', '[54955] 0.00.832.334 E ggml_aligned_malloc: insufficient memory (attempted to allocate 512000.00 MB)'],
    ['llama-server on CUDA', 'llama_model_load: error loading model: unable to allocate CUDA0 buffer'],
    ['CUDA', 'CUDA error: out of memory'],
    [
      'torch',
      '(EngineCore_DP0 pid=7) ERROR 11-21 [core.py:718] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB',
    ],
    [
      'vLLM without room for a cache',
      'ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`',
    ],
    [
      'vLLM with too little room for its context',
      'ValueError: 5.63 GiB KV cache is needed, which is larger than the available KV cache memory (2.1 GiB).',
    ],
    [
      'vLLM beside others',
      'ValueError: Free memory on device (3.2/23.6 GiB) on startup is less than desired GPU memory utilization (0.9, 21.2 GiB).',
    ],
    ['Metal', 'Command buffer execution failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)'],
    ['an engine that was killed', 'was ended by SIGKILL'],
  ])('is told as one for want of memory when the engine says so: %s', async (_, line) => {
    await expect(failing({ said: ['loading', line, 'goodbye'] })).rejects.toMatchObject({
      code: 'out_of_memory',
      detail: expect.stringContaining(line),
    });
  });

  it.each([
    'W common_fit_params: failed to fit params to free device memory: n_gpu_layers already set by user to 99, abort',
    'INFO [gpu_worker.py:298] Available KV cache memory: 5.20 GiB',
    'llama_model_load: error loading model: missing tensor blk.0.attn_q.weight',
  ])('stays what it is when the engine says something else: %s', async (line) => {
    await expect(failing({ said: [line] })).rejects.toMatchObject({ code: 'load_failed', detail: 'it failed' });
  });

  it('is one for want of memory when the kernel killed meanwhile, whoever died without a word', async () => {
    await expect(failing({ oomKills: [3, 4] })).rejects.toMatchObject({ code: 'out_of_memory' });
  });

  it('is not explained by what the engine says of other models', async () => {
    const options = { said: ['[2] out of memory'], isOthers: (line: string) => line.startsWith('[2]') };
    await expect(failing(options)).rejects.toMatchObject({ code: 'load_failed' });
  });

  it('is not explained where it explains itself', async () => {
    const error = new RuntimeError('canceled', 'somebody wants the memory');
    await expect(failing({ error, said: ['out of memory'] })).rejects.toBe(error);
  });
});
