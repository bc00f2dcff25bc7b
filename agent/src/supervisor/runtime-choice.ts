import { accessSync, constants, mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import type { Logger } from 'pino';
import type { AgentConfig } from '../config.ts';
import { LlamaServer } from '../runtimes/llama-server.ts';
import { mockRuntime } from '../runtimes/mock.ts';
import { Ollama } from '../runtimes/ollama.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { EngineProcess } from './engine-process.ts';
import { startMock } from './mock-engine-process.ts';

const PROBE_LIMIT_MS = 1_500;

export interface ChosenRuntime {
  readonly runtime: Runtime;
  /** Said to the user. */
  readonly sentence: string;
  /** Where the mock engine tells about its pretended GPU. */
  readonly mockUrl: string | null;
}

/**
 * Which engine this machine serves with: an Ollama that answers is adopted, else a llama-server with models is started and owned,
 * else the mock runtime stands in and says so. A runtime that was asked for by name is used or its absence is an error.
 */
export const chooseRuntime = async (config: AgentConfig, log: Logger): Promise<ChosenRuntime> => {
  const wants = (kind: AgentConfig['runtime']) => config.runtime === 'auto' || config.runtime === kind;
  if (wants('ollama') && (config.runtime === 'ollama' || (await answers(new URL('/api/version', config.ollamaUrl))))) {
    return {
      runtime: new Ollama({ url: config.ollamaUrl, slots: config.ollamaSlots }),
      sentence: `adopting Ollama at ${config.ollamaUrl}`,
      mockUrl: null,
    };
  }
  if (wants('llama-server')) {
    const program = onPath('llama-server');
    const models = ggufFiles(config.modelsDir);
    if (program && models.length > 0) return startLlamaServer(program, models.length, config, log);
    if (config.runtime === 'llama-server') {
      throw new Error(
        program
          ? `llama-server has no models: put a .gguf file into ${config.modelsDir}, or name another folder with --models-dir.`
          : 'llama-server is not on PATH. Install llama.cpp, or choose another runtime with --runtime.',
      );
    }
  }
  if (config.mockUrl) {
    return {
      runtime: mockRuntime(config.mockUrl),
      sentence: `using the mock engine at ${config.mockUrl} (simulated)`,
      mockUrl: config.mockUrl,
    };
  }
  const { runtime, url } = await startMock({ profile: config.mockProfile, log });
  return {
    runtime,
    sentence: `no inference engine found: SIMULATED answers from the mock runtime (${config.mockProfile})`,
    mockUrl: url,
  };
};

const startLlamaServer = async (program: string, models: number, config: AgentConfig, log: Logger): Promise<ChosenRuntime> => {
  const port = await freePort();
  const engine = new EngineProcess({
    command: () => ({
      file: program,
      args: [
        ...['--host', '127.0.0.1', '--port', String(port), '--models-dir', config.modelsDir, '--models-max', '4'],
        ...['-np', String(config.llamaServerSlots), '--no-ui', '--offline'],
      ],
    }),
    log,
  });
  engine.start();
  return {
    runtime: new LlamaServer({
      url: `http://127.0.0.1:${port}`,
      mode: 'owned',
      slots: config.llamaServerSlots,
      onClose: () => engine.close(),
    }),
    sentence: `running ${program} with ${models} model file${models === 1 ? '' : 's'} from ${config.modelsDir}`,
    mockUrl: null,
  };
};

const answers = async (url: URL): Promise<boolean> => {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(PROBE_LIMIT_MS), redirect: 'error' })).ok;
  } catch {
    return false;
  }
};

const onPath = (program: string): string | null => {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of process.platform === 'win32' ? [`${program}.exe`] : [program]) {
      try {
        accessSync(join(directory, name), constants.X_OK);
        return join(directory, name);
      } catch {
        // not here
      }
    }
  }
  return null;
};

const ggufFiles = (directory: string): string[] => {
  mkdirSync(directory, { recursive: true });
  return readdirSync(directory).filter((name) => name.endsWith('.gguf'));
};

/** A port that was free a moment ago, on loopback. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
