import { randomBytes } from 'node:crypto';
import type { AgentConfig } from '../config.ts';
import { LmStudio } from '../runtimes/lmstudio.ts';
import { MlxServer } from '../runtimes/mlx.ts';
import { folderName } from '../runtimes/model-folder.ts';
import { Vllm } from '../runtimes/vllm.ts';
import { toolParserOf } from '../runtimes/vllm-family.ts';
import { vllmCommand } from '../runtimes/vllm-launch.ts';
import { freePort, onPath, pageAt } from './adopt.ts';
import type { GpuMemory } from './engine-sources.ts';
import type { EngineSource, Found } from './supervisor.ts';

/** Engines that are told by what they say at their usual port. One that was asked for by name is waited for when it is not there. */

const sleepOf = (config: AgentConfig) => (config.vllmSleepLevel === 0 ? {} : { sleepLevel: config.vllmSleepLevel });
const bearer = (key: string | undefined) => (key === undefined ? {} : { authorization: `Bearer ${key}` });

const wantsKey = (runtime: 'vllm' | 'lmstudio', where: string): Found => ({
  obstacle: { runtime, reason: 'auth', where, detail: null },
});

export const adoptedVllm = (config: AgentConfig, gpus: GpuMemory): EngineSource => ({
  name: 'vllm',
  yieldsTo: [],
  find: async () => {
    const page = await pageAt(new URL('/v1/models', config.vllmUrl), bearer(config.vllmApiKey));
    if (page.kind === 'refused') return wantsKey('vllm', config.vllmUrl);
    const isThere = page.kind === 'page' && page.text.includes('"owned_by":"vllm"');
    if (!isThere && (config.runtime !== 'vllm' || config.vllmModel !== undefined)) return null;
    return {
      name: 'vllm',
      runtime: new Vllm({
        url: config.vllmUrl,
        slots: config.vllmSlots,
        probes: true,
        readVramUsedBytes: gpus.usedBytes,
        ...(config.vllmApiKey === undefined ? {} : { apiKey: config.vllmApiKey }),
        ...sleepOf(config),
      }),
      sentence: `adopting vLLM at ${config.vllmUrl}`,
    };
  },
});

export const ownedVllm = (config: AgentConfig, gpus: GpuMemory): EngineSource => ({
  name: 'vllm-owned',
  yieldsTo: ['vllm'],
  find: async (handle) => {
    const program = onPath('vllm');
    const model = config.vllmModel;
    if (model === undefined) return null;
    if (program === null) throw new Error('vLLM is not on PATH. Install it, or choose another runtime with --runtime.');
    const port = await freePort();
    const apiKey = randomBytes(24).toString('base64url');
    const servedName = folderName(model);
    const toolParser = toolParserOf(model);
    return {
      name: 'vllm-owned',
      runtime: new Vllm({
        url: `http://127.0.0.1:${port}`,
        apiKey,
        slots: config.vllmSlots,
        probes: true,
        process: handle,
        readVramUsedBytes: gpus.usedBytes,
        ...sleepOf(config),
      }),
      sentence: `running ${program} serve ${model} on port ${port}`,
      command: () =>
        vllmCommand({
          program,
          model,
          port,
          apiKey,
          maxSequences: config.vllmSlots,
          ...(servedName === undefined ? {} : { servedName }),
          ...(toolParser === null ? {} : { toolParser }),
          hasSleepMode: config.vllmSleepLevel !== 0,
        }),
    };
  },
});

export const adoptedLmStudio = (config: AgentConfig): EngineSource => ({
  name: 'lmstudio',
  yieldsTo: ['ollama', 'vllm', 'vllm-owned'],
  find: async () => {
    const page = await pageAt(new URL('/api/v1/models', config.lmstudioUrl), bearer(config.lmstudioApiKey));
    if (page.kind === 'refused') return wantsKey('lmstudio', config.lmstudioUrl);
    const isThere = page.kind === 'page' && page.text.includes('"loaded_instances"');
    if (!isThere && config.runtime !== 'lmstudio') return null;
    return {
      name: 'lmstudio',
      runtime: new LmStudio({
        url: config.lmstudioUrl,
        ...(config.lmstudioApiKey === undefined ? {} : { apiKey: config.lmstudioApiKey }),
      }),
      sentence: `adopting LM Studio at ${config.lmstudioUrl}`,
    };
  },
});

/** Only when asked for: its port is everybody's, and nothing it says tells it from others. */
export const adoptedMlx = (config: AgentConfig): EngineSource => ({
  name: 'mlx',
  yieldsTo: [],
  find: async () => ({
    name: 'mlx',
    runtime: new MlxServer({ url: config.mlxUrl }),
    sentence: `adopting mlx_lm.server at ${config.mlxUrl}`,
  }),
});
