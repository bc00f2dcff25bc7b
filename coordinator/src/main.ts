#!/usr/bin/env node
import { exitCodeOf, sentenceOf } from '@lai/shared/command-failure';
import { escapeObeyed, guardTerminal } from '@lai/shared/terminal-text';
import { Command, CommanderError } from 'commander';
import { addAuditCommands } from './cli/audit.ts';
import { addBackupCommands } from './cli/backup.ts';
import { addBugreportCommand } from './cli/bugreport/bugreport.ts';
import { addChatCommand } from './cli/chat.ts';
import { addCompletionCommand } from './cli/completion.ts';
import { addConfigCommands } from './cli/config.ts';
import { addDoctorCommand } from './cli/doctor/doctor.ts';
import { explanationText, fetchExplanation } from './cli/explain.ts';
import { addJoinCommand } from './cli/join-command.ts';
import { addKeyCommands } from './cli/keys.ts';
import { addLaunchCommand } from './cli/launch/launch.ts';
import { addLogsCommand } from './cli/logs.ts';
import { addModelCommands } from './cli/models.ts';
import { addNodeCommands } from './cli/nodes.ts';
import { examples, withJson, withPlace, withSettings } from './cli/options.ts';
import { keyedPlace } from './cli/place.ts';
import { addRoutingCommands } from './cli/routing.ts';
import { serve } from './cli/serve.ts';
import { addStatusCommand } from './cli/status.ts';
import { addTokenCommands } from './cli/tokens.ts';
import { up } from './cli/up.ts';
import { addUpdateCommands } from './cli/updates.ts';
import { addUserCommands } from './cli/users.ts';
import { type CoordinatorConfig, readConfig } from './config.ts';
import { VERSION } from './version.ts';

// What is written here holds keys, hashes and prompts: for this user alone, also where a directory is open.
process.umask(0o077);

const program = new Command('lai')
  .description('The GPUs you own, as one OpenAI-compatible endpoint.')
  .version(VERSION)
  // So that `updates start --version` means another one than ours.
  .enablePositionalOptions()
  .exitOverride()
  .addHelpText(
    'after',
    `
Commands talk to the coordinator that runs on this machine; LAI_URL and LAI_API_KEY name one elsewhere.
Exit codes: 0 it worked, 1 it did not, 2 it was asked in the wrong words.`,
  );

const settings = (flags: Record<string, unknown>): CoordinatorConfig => readConfig(flags, process.env);
/** Programs that go on when nobody reads them any more. */
let isServing = false;

const runHere = (command: Command): Command =>
  withSettings(command)
    .option('--lan [address]', 'other machines may join: also listen on the local network, encrypted')
    .option('--once', 'stop after the first answer')
    .option('--pull <model>', 'bring this model onto this machine where it is missing, such as qwen3:0.6b');

const bringUp = async (flags: Record<string, unknown>, demo: boolean): Promise<void> => {
  isServing = true;
  const pull = flags['pull'] === undefined ? null : String(flags['pull']);
  process.exit(await up({ config: settings(flags), once: flags['once'] === true, demo, pull }));
};

examples(
  runHere(program.command('up'))
    .description('run coordinator, Redis and an agent on this machine, and ask a first question')
    .option('--demo', 'three simulated nodes instead of this machine')
    .action((flags) => bringUp(flags, flags.demo === true)),
  'lai up',
  'lai up --pull qwen3:0.6b',
  'lai up --once --data-dir ~/lai',
);

withSettings(program.command('demo'))
  .description('the same with three simulated nodes instead of this machine')
  .option('--once', 'stop after the first answer')
  .action((flags) => bringUp(flags, true));

withSettings(program.command('serve'))
  .description('run the coordinator alone')
  .option('--lan [address]', 'also listen on the local network, encrypted with a certificate of its own')
  .action(async (flags) => {
    isServing = true;
    await serve(settings(flags));
    process.exit(0);
  });

addStatusCommand(program);
addChatCommand(program);

examples(
  withJson(withPlace(program.command('explain')))
    .description('say why a request went where it went (the id is in the header x-request-id)')
    .argument('<request-id>')
    .action(async (requestId: string, flags) => {
      const explanation = await fetchExplanation(keyedPlace(flags), requestId);
      process.stdout.write(flags.json ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation));
    }),
  'lai explain req_01JD…',
);

addKeyCommands(program, withPlace);
addUserCommands(program, withPlace);
addTokenCommands(program, withPlace);
addJoinCommand(program, withPlace);
addNodeCommands(program, withPlace);
addModelCommands(program, withPlace);
addLaunchCommand(program, withPlace);
addUpdateCommands(program, withPlace);
addAuditCommands(program, withPlace);
addConfigCommands(program);
addRoutingCommands(program);
addBackupCommands(program);
addDoctorCommand(program);
addLogsCommand(program);
addBugreportCommand(program);
addCompletionCommand(program);

// `lai keys list | head` closes the pipe when it has seen enough: no fault of anybody's.
for (const stream of [process.stdout, process.stderr]) {
  guardTerminal(stream);
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!isServing) process.exit(0);
  });
}

const fail = (error: unknown): never => {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  console.error(`lai: ${escapeObeyed(sentenceOf(error))}`);
  return process.exit(exitCodeOf(error));
};

program.parseAsync().catch(fail);
