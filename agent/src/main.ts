#!/usr/bin/env node
import './small-heap.ts';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { exitCodeOf, sentenceOf } from '@lai/shared/command-failure';
import { escapeObeyed, guardTerminal } from '@lai/shared/terminal-text';
import { Command, CommanderError } from 'commander';
import { multistream, pino } from 'pino';
import { Agent } from './agent.ts';
import { askStatus } from './cli/ask-agent.ts';
import { addLocalCommands, type CliEnv } from './cli/commands.ts';
import { addServiceCommands } from './cli/service-commands.ts';
import { readConfig } from './config.ts';
import { enroll, fileIdentity, proposeKey, transportProblem } from './identity.ts';
import { useProxy } from './proxy.ts';
import { EXIT_OTHER_VERSION } from './service/trial.ts';
import { EngineLog } from './supervisor/engine-log.ts';
import { VERSION } from './version.ts';

/** Goes on when nobody reads it any more. */
let isServing = false;

const program = new Command('lai-agent')
  .description('Puts the GPU of this machine into a Lai fleet.')
  .version(VERSION)
  // So that `update --version` means another one than ours.
  .enablePositionalOptions()
  .exitOverride()
  .addHelpText('after', '\nExit codes: 0 it worked, 1 it did not, 2 it was asked in the wrong words.');

/** For every command: which agent of this machine is meant. */
const withPlace = (command: Command): Command =>
  command
    .exitOverride()
    .option('--data-dir <dir>', 'where this node keeps its identity and state (default: of the agent that is here)');

/** What engines the agent looks for, for those who look with it. */
const withEngines = (command: Command): Command =>
  withPlace(command)
    .option('--runtime <kind>', 'auto, ollama, llama-server, vllm, lmstudio, mlx or mock')
    .option('--ollama-url <url>', 'an Ollama to adopt')
    .option('--ollama-mode <mode>', 'auto, adopt or own')
    .option('--ollama-program <file>', 'the Ollama to start (default: the one on PATH)')
    .option('--models-dir <dir>', 'GGUF files for llama-server');

const NAME = ['--name <name>', 'how the fleet calls this machine (default: its host name)'] as const;
const INSECURE = ['--insecure', 'speak to the coordinator without TLS although it is on another machine'] as const;

withPlace(program.command('join'))
  .description('enrol this machine with a coordinator')
  .option(...NAME)
  .option(...INSECURE)
  .requiredOption('--url <url>', 'the coordinator')
  .option('--token <token>', 'registration token (better: LAI_TOKEN or --token-file)')
  .option('--token-file <file>', 'file that holds the registration token')
  .action(async (flags) => {
    const config = readConfig(flags, process.env);
    const token = flags.token ?? (flags.tokenFile ? readFileSync(flags.tokenFile, 'utf8').trim() : process.env['LAI_TOKEN']);
    if (!token)
      throw new Error('A registration token is needed: `lai tokens create` on the coordinator makes one. Pass it as LAI_TOKEN.');
    const { credential, state, fingerprint } = await enroll({
      url: config.url ?? flags.url,
      token,
      name: config.name,
      dataDir: config.dataDir,
      isInsecureAllowed: config.insecure,
    });
    console.log(`Joined ${credential.url} as ${credential.name} (${credential.nodeId}). Start with: lai-agent run`);
    console.log(`Fingerprint of this node: ${fingerprint}`);
    if (state === 'pending')
      console.log('An operator has to approve it first: `lai nodes approve`. The fingerprint shown there must be the same.');
  });

withPlace(program.command('rotate-key'))
  .description('another key for this node: made here, taken over by the coordinator at the next connect')
  .action(async (flags) => {
    const fingerprint = await proposeKey(readConfig(flags, process.env).dataDir);
    console.log(`New key: ${fingerprint}. It counts from the next connect on; restart the agent to have that now.`);
  });

withEngines(program.command('run'))
  .description('serve requests of the fleet until stopped')
  .option(...NAME)
  .option(...INSECURE)
  .option('--mock-url <url>', 'a mock engine that already runs')
  .option('--mock-profile <name>', 'mac-m1, windows-rtx or linux-3070')
  .option('--stand-in <yes|no>', 'whether a simulated engine stands in where no real one is')
  .option('--max-concurrent <n>', 'requests at once on this machine')
  .option('--local-port <port>', 'where the owner reaches the agent on 127.0.0.1; 0 for any free port')
  .option('--measure', 'watch the delay of the event loop, shown by status --json')
  .option('--log-level <level>', 'fatal to trace')
  .option('--url <url>', 'where the coordinator is now, if it has moved')
  .option('--exit-with-parent', 'stop when standard input closes')
  .action(async (flags) => {
    isServing = true;
    const config = readConfig(flags, process.env);
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
    const file = new EngineLog(join(config.dataDir, 'logs', 'agent.log'));
    const log = pino(
      { level: config.logLevel, base: { node: config.name } },
      multistream([
        { level: 'trace', stream: process.stdout },
        { level: 'trace', stream: { write: (line: string) => file.write(line) } },
      ]),
    );
    const identity = fileIdentity(config.dataDir, config.url);
    if (!identity)
      throw new Error(
        `This machine has not joined a fleet yet. Run: lai-agent join --url <coordinator> (data in ${config.dataDir})`,
      );
    const problem = transportProblem(identity.credential.url);
    if (problem && !config.insecure) throw new Error(problem);
    if (problem) console.error(styleText('red', `INSECURE: ${problem.split(' Use https')[0]}`, { stream: process.stderr }));
    const other = await askStatus(config.dataDir).catch(() => null);
    if (other) throw new Error(`An agent already runs for ${config.dataDir}: process ${other.node.pid}.`);
    const agent = new Agent({
      config,
      identity,
      environment: process.env,
      version: VERSION,
      log,
      onRefused: (message) => void leave(1, message),
      onOtherVersion: () => void leave(EXIT_OTHER_VERSION, 'another version takes over'),
    });
    let isLeaving = false;
    const leave = async (code: number, why: string) => {
      if (isLeaving) return;
      isLeaving = true;
      log.info({ why }, 'stopping');
      await agent.close();
      process.exit(code);
    };
    // Not `once`: the watcher that ends our engines when we crash takes a signal without other listeners for a crash.
    process.on('SIGINT', () => void leave(0, 'SIGINT'));
    process.on('SIGTERM', () => void leave(0, 'SIGTERM'));
    if (flags.exitWithParent) process.stdin.resume().once('end', () => void leave(0, 'parent gone'));
    try {
      await agent.start();
    } catch (error) {
      await agent.close();
      throw error;
    }
  });

const cli: CliEnv = {
  environment: process.env,
  print: (text) => console.log(text),
  exitWith: (code) => {
    process.exitCode = code;
  },
};
addLocalCommands(program, { withPlace, withEngines }, cli);
addServiceCommands(program, withPlace, cli);

useProxy(process.env);

// `lai-agent models | head` closes the pipe when it has seen enough; an agent that runs goes on.
for (const stream of [process.stdout, process.stderr]) {
  guardTerminal(stream);
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!isServing) process.exit(0);
  });
}

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  console.error(`lai-agent: ${escapeObeyed(sentenceOf(error))}`);
  process.exit(exitCodeOf(error));
});
