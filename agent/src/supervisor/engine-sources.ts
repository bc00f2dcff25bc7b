import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareVersions } from '@lai/shared/release';
import type { AgentConfig } from '../config.ts';
import { scanModelsDir, watchModelsDir } from '../runtimes/llama-models-dir.ts';
import { LlamaServer } from '../runtimes/llama-server.ts';
import { mockRuntime } from '../runtimes/mock.ts';
import { Ollama } from '../runtimes/ollama.ts';
import { freePort, modelsFolder, onPath, pageAt, versionAt, versionIn } from './adopt.ts';
import type { EngineSpec } from './engine.ts';
import { MOCK_PROFILES } from './mock-profiles.ts';
import { adoptedLmStudio, adoptedMlx, adoptedVllm, ownedVllm } from './single-model-sources.ts';
import type { EngineSource } from './supervisor.ts';

/** What engines need to know of the machine's GPUs; null when it cannot tell. */
export interface GpuMemory {
  totalBytes(): number | null;
  usedBytes(): number | null;
}

/**
 * Where engines may be found on this machine, best first: what runs already is adopted; what is installed is started on a port of its
 * own; a simulated engine stands in, and says so. A runtime that was asked for by name is used, or its absence is an error.
 */
export const engineSources = (config: AgentConfig, gpus: GpuMemory): EngineSource[] => {
  const wants = (kind: AgentConfig['runtime']) => config.runtime === 'auto' || config.runtime === kind;
  return [
    ...(wants('vllm') ? [adoptedVllm(config, gpus)] : []),
    ...(wants('vllm') && config.vllmModel !== undefined ? [ownedVllm(config, gpus)] : []),
    ...(wants('ollama') && config.ollamaMode !== 'own' ? [adoptedOllama(config, gpus)] : []),
    ...(wants('lmstudio') ? [adoptedLmStudio(config)] : []),
    ...(config.runtime === 'mlx' ? [adoptedMlx(config)] : []),
    ...(wants('ollama') && config.ollamaMode !== 'adopt' ? [ownedOllama(config, gpus)] : []),
    ...(wants('llama-server') ? [ownedLlamaServer(config)] : []),
    ...(config.runtime === 'mock' || (wants('mock') && config.standIn)
      ? [config.mockUrl ? givenMock(config.mockUrl) : ownedMock(config)]
      : []),
  ];
};

const ollamaSettings = (config: AgentConfig, gpus: GpuMemory) => ({
  slots: config.ollamaSlots,
  // Its own timer agrees with ours, so that it gives the GPU back even when the agent is gone.
  keepMs: config.idleUnloadMinutes === 0 ? null : config.idleUnloadMinutes * 60_000,
  readVramTotalBytes: gpus.totalBytes,
  ...(config.ollamaContext === undefined ? {} : { contextLength: config.ollamaContext }),
});

/** Before it, Ollama did not tell which models are loaded (`/api/ps`). */
const OLDEST_OLLAMA = '0.1.33';

const adoptedOllama = (config: AgentConfig, gpus: GpuMemory): EngineSource => {
  const version = (signal?: AbortSignal) => versionAt(new URL('/api/version', config.ollamaUrl), signal);
  return {
    name: 'ollama',
    yieldsTo: [],
    find: async () => {
      // Asked for by name and nothing to start instead: it is waited for, and the fleet sees that it is missing.
      const isAwaited = config.runtime === 'ollama' && (config.ollamaMode === 'adopt' || ollamaProgram(config) === null);
      const obstacle = (reason: string, detail: string | null = null) => ({
        obstacle: { runtime: 'ollama', reason, where: config.ollamaUrl, detail },
      });
      const answer = await pageAt(new URL('/api/version', config.ollamaUrl));
      if (answer.kind === 'refused') return obstacle('auth');
      const found = answer.kind === 'page' ? versionIn(answer.text) : null;
      if (found === null && !isAwaited) return null;
      if (found !== null && /^\d+\.\d+\.\d+/.test(found) && compareVersions(found, OLDEST_OLLAMA) < 0)
        return obstacle('too_old', `${found}, ${OLDEST_OLLAMA} is needed`);
      return {
        name: 'ollama',
        runtime: new Ollama({ url: config.ollamaUrl, ...ollamaSettings(config, gpus) }),
        sentence: `adopting Ollama at ${config.ollamaUrl}`,
        identify: version,
      };
    },
  };
};

const ollamaProgram = (config: AgentConfig): string | null => config.ollamaProgram ?? onPath('ollama');

/**
 * An Ollama of our own, on another port than the one that Ollama's desktop app defends: that app kills every server it finds when its own
 * cannot have the port.
 */
const ownedOllama = (config: AgentConfig, gpus: GpuMemory): EngineSource => ({
  name: 'ollama-owned',
  yieldsTo: ['ollama', 'vllm', 'vllm-owned', 'lmstudio', 'mlx'],
  find: async () => {
    const program = ollamaProgram(config);
    if (program === null) {
      if (config.ollamaMode === 'own')
        throw new Error('Ollama is not on PATH. Install it, or choose another runtime with --runtime.');
      return null;
    }
    const port = await freePort();
    return {
      name: 'ollama-owned',
      runtime: new Ollama({ url: `http://127.0.0.1:${port}`, mode: 'owned', ...ollamaSettings(config, gpus) }),
      sentence: `running ${program} serve on port ${port}`,
      command: () => ({
        file: program,
        args: ['serve'],
        env: {
          OLLAMA_HOST: `127.0.0.1:${port}`,
          OLLAMA_NUM_PARALLEL: String(config.ollamaSlots),
          ...(config.ollamaContext === undefined ? {} : { OLLAMA_CONTEXT_LENGTH: String(config.ollamaContext) }),
          // A model with a remote host would send prompts out of the house.
          OLLAMA_NO_CLOUD: '1',
        },
      }),
    };
  },
});

const ownedLlamaServer = (config: AgentConfig): EngineSource => ({
  name: 'llama-server',
  yieldsTo: ['ollama', 'ollama-owned', 'vllm', 'vllm-owned', 'lmstudio', 'mlx'],
  find: async (handle) => {
    const program = onPath('llama-server');
    const models = (await scanModelsDir(modelsFolder(config.modelsDir))).length;
    if (program === null) {
      if (config.runtime !== 'llama-server') return null;
      throw new Error('llama-server is not on PATH. Install llama.cpp, or choose another runtime with --runtime.');
    }
    // Looked at again: whoever puts a file there need not start anything anew.
    if (models === 0)
      return { obstacle: { runtime: 'llama-server', reason: 'no_model_files', where: config.modelsDir, detail: null } };
    const port = await freePort();
    const presetFile = join(config.dataDir, 'llama-server.ini');
    const refresh = watchModelsDir({
      dir: config.modelsDir,
      presetFile,
      contextLength: config.llamaServerContext ?? null,
      slots: config.llamaServerSlots,
    });
    // Before it starts, because it wants to read it.
    await refresh();
    return {
      name: 'llama-server',
      runtime: new LlamaServer({
        url: `http://127.0.0.1:${port}`,
        mode: 'owned',
        slots: config.llamaServerSlots,
        refresh,
        process: handle,
      }),
      sentence: `running ${program} with ${models} model file${models === 1 ? '' : 's'} from ${config.modelsDir}`,
      command: () => ({
        file: program,
        args: [
          ...['--host', '127.0.0.1', '--port', String(port)],
          ...['--models-dir', config.modelsDir, '--models-preset', presetFile],
          ...['--models-max', String(config.llamaServerModelsMax)],
          ...['-np', String(config.llamaServerSlots), '--no-ui', '--offline'],
        ],
      }),
    };
  },
});

const REAL = ['vllm', 'vllm-owned', 'ollama', 'lmstudio', 'mlx', 'ollama-owned', 'llama-server'];

const givenMock = (url: string): EngineSource => ({
  name: 'mock',
  yieldsTo: REAL,
  find: async () => ({
    name: 'mock',
    runtime: mockRuntime(url),
    sentence: `using the mock engine at ${url} (simulated)`,
    mockUrl: url,
    isStandIn: true,
  }),
});

const ownedMock = (config: AgentConfig): EngineSource => ({
  name: 'mock',
  yieldsTo: REAL,
  find: async (): Promise<EngineSpec> => {
    const profile = MOCK_PROFILES[config.mockProfile];
    if (!profile)
      throw new Error(
        `There is no mock profile "${config.mockProfile}". Choose one of: ${Object.keys(MOCK_PROFILES).join(', ')}.`,
      );
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    return {
      name: 'mock',
      runtime: mockRuntime(url),
      sentence: `no inference engine found: SIMULATED answers from the mock runtime (${config.mockProfile})`,
      mockUrl: url,
      isStandIn: true,
      command: () => ({
        file: process.execPath,
        args: [
          mockEnginePath(),
          ...['--dialect', 'llama-server', '--port', String(port), '--name', profile.gpu, '--vram-gb', String(profile.vramGb)],
          ...['--models', profile.models.join(';'), '--tuning', JSON.stringify(profile.tuning), '--exit-with-parent'],
        ],
      }),
    };
  },
});

/** Beside the bundle when bundled, in its room when run from source. */
const mockEnginePath = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../runtimes/mock-engine/main.ts' : './lai-mock-engine.js', import.meta.url),
  );
