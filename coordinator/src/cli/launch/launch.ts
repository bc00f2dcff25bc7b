import { type ChildProcess, spawn } from 'node:child_process';
import { constants, homedir } from 'node:os';
import { UsageError } from '@lai/shared/command-failure';
import type { ModelEntry, ModelList } from '@lai/shared/openai';
import type { Command } from 'commander';
import { keyedPlace } from '../place.ts';
import { clientKey } from './client-key.ts';
import { LAUNCH_CLIENTS, type LaunchClient, type LaunchTarget } from './clients.ts';
import { restoreSettings, writeSettings } from './settings-file.ts';

const LIMIT_MS = 10_000;
const names = LAUNCH_CLIENTS.map(({ name }) => name).join(', ');

/** `lai launch`: a client that is installed here, started against the coordinator, with a key of its own. */
export const addLaunchCommand = (program: Command, withSettings: (command: Command) => Command): void => {
  withSettings(program.command('launch'))
    .description('start an installed client against this coordinator; its own settings stay as they are')
    .argument('<client>', names)
    .argument('[args...]', 'for the client, after --')
    .option('--model <name>', 'model or alias (default: one that is in memory, else the first that can chat)')
    .option('--config', "write the client's settings file instead of starting it")
    .option('--restore', 'undo --config: the settings file as it was before')
    .addHelpText(
      'after',
      "\nExamples:\n  lai launch claude\n  lai launch codex --model qwen3:8b -- exec 'explain this repository'\n  lai launch opencode --config\n",
    )
    .action(async (name: string, args: string[], flags) => {
      const client = LAUNCH_CLIENTS.find((known) => known.name === name);
      if (!client) throw new UsageError(`lai launch does not know "${name}". It starts: ${names}.`);
      if (flags.restore) return console.log(restored(client));
      const { url, key: operatorKey, config } = keyedPlace(flags);
      const { id, key } = await clientKey({ url, operatorKey, dataDir: config.dataDir, client: client.name });
      const chosen = chooseModel(await modelsAt(url, key), flags.model);
      const target: LaunchTarget = { url, key, model: chosen.id, contextTokens: chosen.context_length ?? null };
      if (flags.config) return console.log(configured(client, target, id));
      process.stderr.write(`lai: ${client.title} with ${target.model} at ${url}. Its key: lai keys revoke ${id}\n`);
      process.exit(await run(client, target, args));
    });
};

/** The model that was named; else one that chats, one that is in memory first. Pure. */
export const chooseModel = (models: readonly ModelEntry[], wanted?: string): Pick<ModelEntry, 'id' | 'context_length'> => {
  const named = models.find(({ id }) => id === wanted);
  // Aliases and `auto` are not listed everywhere: the coordinator judges them.
  if (wanted !== undefined) return named ?? { id: wanted, context_length: null };
  const chats = models.filter(({ capabilities }) => capabilities.includes('chat'));
  const best = chats.find(({ warm, simulated }) => warm && !simulated) ?? chats.find(({ simulated }) => !simulated) ?? chats[0];
  if (!best)
    throw new Error('No node has a model that can chat. `lai status` says what is missing; `lai pull qwen3:8b` gets one.');
  return best;
};

const modelsAt = async (url: string, key: string): Promise<readonly ModelEntry[]> => {
  const response = await fetch(`${url}/v1/models`, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(LIMIT_MS),
    redirect: 'error',
  });
  if (!response.ok) throw new Error(`${url} answered HTTP ${response.status} when it was asked for its models.`);
  return ((await response.json()) as ModelList).data;
};

/** Its exit code, as a shell would tell it. */
const run = (client: LaunchClient, target: LaunchTarget, args: readonly string[]): Promise<number> => {
  const { args: ours, env } = client.launch(target);
  const all: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) delete all[name];
    else all[name] = value;
  }
  const child: ChildProcess = spawn(client.program, [...ours, ...args], { env: all, stdio: 'inherit' });
  // From a terminal a Ctrl-C reaches it without us, and may mean something else to it than the end.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new Error(`${client.title} is not installed: there is no ${client.program} on PATH. Install it: ${client.install}`)
          : new Error(`${client.program} could not be started (${error.code ?? error.message}).`),
      ),
    );
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
};

const configured = (client: LaunchClient, target: LaunchTarget, keyId: string): string => {
  if (!client.settings)
    throw new UsageError(`${client.title} has no settings file that could be written. Start it: lai launch ${client.name}`);
  const path = writeSettings(homedir(), client.settings, target);
  return `${path} names ${target.model} at ${target.url}. lai launch ${client.name} --restore undoes it; lai keys revoke ${keyId} ends its key.`;
};

const restored = (client: LaunchClient): string => {
  if (!client.settings) throw new UsageError(`${client.title} has no settings file that Lai writes.`);
  const { path, kind } = restoreSettings(homedir(), client.settings);
  if (kind === 'nothing') return `${path} holds nothing of Lai's; nothing was changed.`;
  return kind === 'removed' ? `${path} is removed, as there was none before.` : `${path} is as it was before.`;
};
