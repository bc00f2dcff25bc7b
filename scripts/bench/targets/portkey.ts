import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../engines/command.ts';
import { startProgram } from '../program.ts';
import { chatPath, freePort, type Started, type Surroundings, waitForAnswer } from '../target.ts';

const VERSION = '1.15.2';

/**
 * Its own range (^1.3.3) resolves to releases whose lazy Response hands out fetch's immutable headers: every streamed answer is then
 * HTTP 500 (seen with 1.19.19). With the release it was made for it streams.
 */
const OVERRIDES = { '@hono/node-server': '1.3.3' };

/** Portkey's open gateway, as its own start script runs it. Never a dependency of ours: fetched when a benchmark wants it, without its install scripts. */
export const startPortkey = async ({ engineUrl, folder, cache }: Surroundings): Promise<Started> => {
  const home = join(cache, `portkey-${VERSION}`);
  const script = join(home, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js');
  if (!existsSync(script)) {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), `${JSON.stringify({ private: true, overrides: OVERRIDES })}\n`);
    const install = await run(
      'npm',
      ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=dev', '--save-exact', `@portkey-ai/gateway@${VERSION}`],
      { cwd: home, limitMs: 180_000 },
    );
    if (!install.ok || !existsSync(script))
      return { absent: `npm could not fetch @portkey-ai/gateway ${VERSION}: ${install.lastLine}` };
  }
  const port = await freePort();
  const program = await startProgram({
    command: [process.execPath, script, `--port=${port}`, '--headless'],
    side: 'target',
    logFile: join(folder, 'portkey.log'),
    env: { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: 'localhost,127.0.0.1' },
    cwd: home,
  });
  const endpoint = {
    url: `http://127.0.0.1:${port}${chatPath}`,
    headers: {
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${engineUrl}/v1`,
      authorization: 'Bearer none',
    },
  };
  await waitForAnswer('the Portkey gateway', endpoint, program);
  return { name: 'portkey', version: VERSION, ...endpoint, pids: { gateway: program.pid }, stop: program.stop };
};
