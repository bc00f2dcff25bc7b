import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { enroll } from '../../agent/src/identity.ts';
import { IssuedToken } from '../../shared/src/admin-api.ts';
import { freePort } from '../e2e/fleet.ts';
import { Program } from '../e2e/program.ts';
import { AGENT_FLAGS } from './agent-flags.ts';

const SIDE_BY_SIDE = 3;

/** Where the bundles lie that are put to the test: a copy, because somebody may build again meanwhile. */
export interface Bundles {
  readonly lai: string;
  readonly agent: string;
}

/** A data directory in which some nodes have joined, made once and copied for every fault, so that each begins alike and soon. */
export interface Household {
  readonly folder: string;
  readonly bundles: Bundles;
  readonly key: string;
  readonly names: readonly string[];
}

/** Short, because unix sockets live below it. */
const newFolder = (): string => mkdtempSync(join(tmpdir(), 'lf-'));

export const foundHousehold = async (root: string, nodes: number): Promise<Household> => {
  const folder = newFolder();
  for (const name of ['coordinator', 'agent'])
    cpSync(join(root, name, 'dist'), join(folder, 'build', name, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'build', 'package.json'));
  const bundles = {
    lai: join(folder, 'build', 'coordinator', 'dist', 'lai.js'),
    agent: join(folder, 'build', 'agent', 'dist', 'lai-agent.js'),
  };
  const dataDir = join(folder, 'c');
  mkdirSync(dataDir);
  const env = { LAI_DATA_DIR: dataDir, LAI_PORT: String(await freePort()), NODE_COMPILE_CACHE: join(folder, 'compiled') };
  const coordinator = new Program('coordinator', [bundles.lai, 'serve'], env);
  try {
    await coordinator.until(/coordinator is listening/);
    const keys = await new Program('lai', [bundles.lai, 'keys', 'create', 'faults', '--admin'], env).output();
    const key = keys.split('\n')[0] ?? '';
    const url = `http://127.0.0.1:${env.LAI_PORT}`;
    const names = Array.from({ length: nodes }, (_, index) => `n${String(index + 1).padStart(2, '0')}`);
    const waiting = [...names];
    const joinNext = async (): Promise<void> => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        await enroll({ url, token: await mintToken(url, key), name, dataDir: join(folder, name) });
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, joinNext));
    for (const flags of Object.values(AGENT_FLAGS))
      await warmCompileCache([...flags, bundles.agent], join(folder, names[0] ?? ''), env);
    return { folder, bundles, key, names };
  } finally {
    coordinator.kill('SIGTERM');
    await coordinator.exited;
  }
};

const mintToken = async (url: string, key: string): Promise<string> => {
  const response = await fetch(`${url}/api/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: '{}',
  });
  if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
  return IssuedToken.parse(await response.json()).token;
};

/** Node keeps what it compiled when a program ends well, which our agents never do: one of them has to, or each compiles for itself. */
const warmCompileCache = async (agent: readonly string[], dataDir: string, env: Record<string, string>): Promise<void> => {
  const args = ['--data-dir', dataDir, '--runtime', 'mock', '--mock-profile', 'linux-3070'];
  const program = new Program('agent', [...agent, 'run', ...args], { ...env, LAI_LOG_LEVEL: 'info', LAI_LOCAL_PORT: '0' });
  await program.until(/"connected"/);
  program.kill('SIGTERM');
  await program.exited;
};

/** A fresh copy of coordinator's and nodes' data in a folder of its own. */
export const moveIn = (household: Household, nodes: number): string => {
  const folder = newFolder();
  cpSync(join(household.folder, 'c'), join(folder, 'c'), { recursive: true });
  for (const name of household.names.slice(0, nodes))
    cpSync(join(household.folder, name), join(folder, name), { recursive: true });
  return folder;
};

export const moveOut = (folder: string): void => rmSync(folder, { recursive: true, force: true });
