import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { mockRuntime } from '../runtimes/mock.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { EngineProcess } from './engine-process.ts';
import { MOCK_PROFILES } from './mock-profiles.ts';

/** Starts a mock engine as a process of its own and resolves once it listens. */
export const startMock = async (options: { profile: string; log: Logger }): Promise<{ runtime: Runtime; url: string }> => {
  const profile = MOCK_PROFILES[options.profile];
  if (!profile)
    throw new Error(`There is no mock profile "${options.profile}". Choose one of: ${Object.keys(MOCK_PROFILES).join(', ')}.`);
  const { promise, resolve } = Promise.withResolvers<string>();
  // The port is kept over restarts of the engine, so that the runtime's address stays true.
  let port = 0;
  const engine = new EngineProcess({
    command: () => ({
      file: process.execPath,
      args: [
        mockEnginePath(),
        ...['--dialect', 'llama-server', '--port', String(port), '--name', profile.gpu, '--vram-gb', String(profile.vramGb)],
        ...['--models', profile.models.join(';'), '--tuning', JSON.stringify(profile.tuning), '--exit-with-parent'],
      ],
    }),
    log: options.log,
    onStdout: (line) => {
      if (!line.startsWith('{"listening"')) return;
      const url: string = JSON.parse(line).listening;
      port = Number(new URL(url).port);
      resolve(url);
    },
  });
  engine.start();
  const url = await Promise.race([promise, failAfter(15_000, 'the mock engine did not start within 15 s')]);
  return { runtime: mockRuntime(url, () => engine.close()), url };
};

/** Beside the bundle when bundled, in its room when run from source. */
const mockEnginePath = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../runtimes/mock-engine/main.ts' : './lai-mock-engine.js', import.meta.url),
  );

const failAfter = async (ms: number, reason: string): Promise<never> => {
  await new Promise((resolve) => setTimeout(resolve, ms).unref());
  throw new Error(reason);
};
