import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../engines/command.ts';
import { SLOTS } from '../engine-answers.ts';
import { commandOf, descendants } from '../process-figures.ts';
import { type Side, startProgram, waitFor } from '../program.ts';
import { chatPath, freePort, type Surroundings, type Target, waitForAnswer } from '../target.ts';

export interface LaiOptions {
  readonly name: string;
  /** A tree of the repository with its bundles built. */
  readonly root: string;
  /** `target` counts the node's agent to what is measured on one core; `load` puts it beside its engine, where a fleet has it. */
  readonly agentSide: Side;
  /** Where CPU profiles go; null for none. */
  readonly profileFolder: string | null;
}

/** Lai as it is installed: the bundled coordinator with its private Redis and default settings, and one enrolled agent. */
export const startLai = async (options: LaiOptions, { engineUrl, folder: parent }: Surroundings): Promise<Target> => {
  const folder = join(parent, options.name);
  mkdirSync(folder, { recursive: true });
  const lai = bundle(options.root, 'coordinator', 'lai.js');
  const laiAgent = bundle(options.root, 'agent', 'lai-agent.js');
  const dataDir = join(folder, 'c');
  const agentDir = join(folder, 'a');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // What the person who runs this has set for their own Lai is not what is measured.
  const env = Object.fromEntries(Object.keys(process.env).flatMap((name) => (name.startsWith('LAI_') ? [[name, '']] : [])));
  const node = (name: string) =>
    options.profileFolder === null
      ? [process.execPath]
      : [
          process.execPath,
          '--cpu-prof',
          `--cpu-prof-dir=${options.profileFolder}`,
          `--cpu-prof-name=${options.name}-${name}.cpuprofile`,
        ];

  const coordinator = await startProgram({
    // With the flag that everything of ours starts it with: `npm start`, the image, the unit.
    command: [...node('coordinator'), '--max-semi-space-size=4', lai, 'serve', '--data-dir', dataDir, '--port', String(port)],
    side: 'target',
    logFile: join(folder, 'coordinator.log'),
    env,
  });
  await waitFor('the coordinator', coordinator, () => (coordinator.words().includes('coordinator is listening') ? true : null));
  const key = await lastWord(lai, ['keys', 'create', 'bench', '--data-dir', dataDir], /^lai_\w+$/m, env);
  const token = await lastWord(lai, ['tokens', 'create', '--data-dir', dataDir], /^\S+$/m, env);
  const joining = await run(process.execPath, [laiAgent, 'join', '--url', url, '--name', 'bench', '--data-dir', agentDir], {
    env: { ...env, LAI_TOKEN: token },
    limitMs: 20_000,
  });
  if (!joining.ok) throw new Error(`the agent could not join: ${joining.lastLine}`);
  const agent = await startProgram({
    command: [
      ...[...node('agent'), laiAgent, 'run', '--data-dir', agentDir, '--name', 'bench'],
      ...['--runtime', 'mock', '--mock-url', engineUrl, '--max-concurrent', String(SLOTS)],
    ],
    side: options.agentSide,
    logFile: join(folder, 'agent.log'),
    env,
  });
  const endpoint = { url: url + chatPath, headers: { authorization: `Bearer ${key}` } };
  await waitForAnswer('Lai', endpoint, agent);
  const redis = descendants(coordinator.pid).find((pid) => /redis-server|valkey-server|redis-check-rdb/.test(commandOf(pid)));
  return {
    name: options.name,
    version: versionOf(options.root),
    ...endpoint,
    pids: { coordinator: coordinator.pid, agent: agent.pid, ...(redis === undefined ? {} : { redis }) },
    stop: async () => {
      await agent.stop();
      await coordinator.stop();
    },
  };
};

const bundle = (root: string, name: string, file: string): string => {
  const path = join(root, name, 'dist', file);
  if (!existsSync(path)) throw new Error(`${path} is not built: give \`pnpm build\` first.`);
  return path;
};

const lastWord = async (lai: string, args: readonly string[], pattern: RegExp, env: Record<string, string>): Promise<string> => {
  const outcome = await run(process.execPath, [lai, ...args], { env, limitMs: 20_000 });
  const word = pattern.exec(outcome.stdout)?.[0];
  if (!outcome.ok || word === undefined) throw new Error(`lai ${args[0]} ${args[1]} failed: ${outcome.lastLine}`);
  return word;
};

const versionOf = (root: string): string => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
};
