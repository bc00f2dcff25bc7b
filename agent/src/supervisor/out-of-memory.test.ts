import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Vllm } from '../runtimes/vllm.ts';
import { freePort } from './adopt.ts';
import { Supervisor } from './supervisor.ts';

/** A vLLM, as far as it is asked here, that starts once; its next start ends as the test wants. */
const PROGRAM = `
  const fs = require('node:fs');
  const [port, marker, ending] = process.argv.slice(1);
  const PAGES = { '/health': '', '/version': '{"version":"0.19.0"}', '/v1/models': '{"data":[{"id":"m"}]}' };
  if (fs.existsSync(marker)) eval(ending);
  else {
    fs.writeFileSync(marker, '');
    console.log('torch.OutOfMemoryError: this was long before');
    require('node:http').createServer(({ url }, response) => response.end(PAGES[url])).listen(Number(port), '127.0.0.1');
  }`;

const soon = () => AbortSignal.timeout(10_000);

const putDownOnce = async (ending: string): Promise<Vllm> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'lai-oom-'));
  const port = await freePort();
  let runtime: Vllm | undefined;
  const supervisor = new Supervisor({
    sources: [
      {
        name: 'vllm-owned',
        yieldsTo: [],
        find: async (process_) => {
          runtime = new Vllm({ url: `http://127.0.0.1:${port}`, process: process_ });
          const args = ['-e', PROGRAM, String(port), join(dataDir, 'started'), ending];
          return { name: 'vllm-owned', runtime, sentence: 'running it', command: () => ({ file: process.execPath, args }) };
        },
      },
    ],
    dataDir,
    log: pino({ level: 'silent' }),
    events: {
      models: () => {},
      lost: () => {},
      changed: () => {},
      load: () => ({ inFlight: 0, isLoading: true, warmChatModel: null }),
    },
  });
  onTestFinished(async () => {
    await supervisor.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  await supervisor.start();
  while (supervisor.reports()[0]?.state !== 'ready') await pause(10);
  if (!runtime) throw new Error('it was not looked for');
  await runtime.unloadModel('m', soon());
  return runtime;
};

describe('a load of an engine of our own', () => {
  it.each([
    [
      'says that there is no memory',
      `console.error('torch.OutOfMemoryError: CUDA out of memory.'); process.exit(1)`,
      'out_of_memory',
    ],
    ['is killed', `process.kill(process.pid, 'SIGKILL')`, 'out_of_memory'],
    ['says something else', `console.error('no such model'); process.exit(1)`, 'load_failed'],
  ])('that %s as it starts', async (_, ending, code) => {
    const runtime = await putDownOnce(ending);
    await expect(runtime.loadModel('m', soon())).rejects.toMatchObject({ code });
  });
});
