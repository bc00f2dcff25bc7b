import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProgram, waitFor } from '../program.ts';
import { chatPath, type Target } from '../target.ts';

/** The engine itself, asked without anything in between: the floor of every figure and the ceiling of the harness. */
export const startDirect = async (folder: string): Promise<Target & { readonly engineUrl: string }> => {
  const program = await startProgram({
    command: [process.execPath, fileURLToPath(new URL('../engine.ts', import.meta.url))],
    side: 'load',
    logFile: join(folder, 'engine.log'),
  });
  const engineUrl = await waitFor(
    'the engine simulator',
    program,
    () => /"listening":"([^"]+)"/.exec(program.words())?.[1] ?? null,
  );
  return {
    name: 'direct',
    version: `Node ${process.version}`,
    engineUrl,
    url: engineUrl + chatPath,
    headers: {},
    pids: { engine: program.pid },
    stop: program.stop,
  };
};
