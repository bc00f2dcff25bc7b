import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProgram, waitFor } from '../program.ts';
import { chatPath, type Surroundings, type Target, waitForAnswer } from '../target.ts';

export const startNodeProxy = async ({ engineUrl, folder }: Surroundings): Promise<Target> => {
  const program = await startProgram({
    command: [process.execPath, fileURLToPath(new URL('./plain-proxy.ts', import.meta.url)), engineUrl],
    side: 'target',
    logFile: join(folder, 'node-proxy.log'),
  });
  const url = await waitFor('the Node proxy', program, () => /"listening":"([^"]+)"/.exec(program.words())?.[1] ?? null);
  const endpoint = { url: url + chatPath, headers: {} };
  await waitForAnswer('the Node proxy', endpoint, program);
  return {
    name: 'node-proxy',
    version: `Node ${process.version}`,
    ...endpoint,
    pids: { proxy: program.pid },
    stop: program.stop,
  };
};
