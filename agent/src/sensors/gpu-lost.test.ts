import { describe, expect, it } from 'vitest';
import { gpuVerdict, type ModelOnGpu } from './gpu-lost.ts';

const healthy: ModelOnGpu = {
  model: 'llama3.2:3b',
  isExpectedOnGpu: true,
  vramBytes: 3e9,
  hadRoomAtLoad: true,
  tokensPerSecond: 80,
  usualTokensPerSecond: 90,
};

describe('a GPU lost without a word', () => {
  it.each<[string, Partial<ModelOnGpu>, 'ok' | 'suspected' | 'lost']>([
    ['holds its memory at its usual speed', {}, 'ok'],
    ['was never meant for the GPU', { isExpectedOnGpu: false, vramBytes: 0, tokensPerSecond: 5 }, 'ok'],
    ['holds nothing and is slow', { vramBytes: 0, hadRoomAtLoad: null, tokensPerSecond: 8 }, 'lost'],
    ['holds nothing although there was room', { vramBytes: 0, tokensPerSecond: null }, 'lost'],
    ['holds nothing, and nothing else is known', { vramBytes: 0, hadRoomAtLoad: null, tokensPerSecond: null }, 'suspected'],
    ['found no room, and is slow for that reason or another', { vramBytes: 0, hadRoomAtLoad: false, tokensPerSecond: 8 }, 'lost'],
    ['found no room and is as fast as ever', { vramBytes: 0, hadRoomAtLoad: false }, 'ok'],
    ['is slow, and its runtime does not tell memory', { vramBytes: null, tokensPerSecond: 8 }, 'suspected'],
    ['is slow while it holds its memory (another model is busy)', { tokensPerSecond: 8 }, 'ok'],
    ['has no usual speed yet', { vramBytes: null, usualTokensPerSecond: null }, 'ok'],
    ['has a usual speed of zero', { vramBytes: null, usualTokensPerSecond: 0, tokensPerSecond: 0 }, 'ok'],
    ['runs just at the limit', { vramBytes: null, tokensPerSecond: 27 }, 'ok'],
  ])('when a model %s', (_, facts, kind) => {
    expect(gpuVerdict({ ...healthy, ...facts }, 'linux').kind).toBe(kind);
  });

  it('is explained with numbers, and with the documented repair of the system', () => {
    const verdict = gpuVerdict({ ...healthy, vramBytes: 0, tokensPerSecond: 8 }, 'linux');
    expect(verdict).toMatchObject({
      sentence: 'llama3.2:3b runs on the CPU although it belongs on the GPU (8.0 instead of 90.0 tokens per second).',
      repair: expect.arrayContaining([expect.stringContaining('modprobe nvidia_uvm')]),
    });
  });

  it('offers no Linux command on other systems', () => {
    for (const platform of ['win32', 'darwin'] as const) {
      const verdict = gpuVerdict({ ...healthy, vramBytes: 0 }, platform);
      expect(JSON.stringify(verdict)).not.toContain('modprobe');
    }
  });
});
