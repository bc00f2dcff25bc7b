#!/usr/bin/env node
import { Command } from 'commander';
import { addAuditCommands } from './cli/audit.ts';
import { addBackupCommands } from './cli/backup.ts';
import { explanationText, fetchExplanation } from './cli/explain.ts';
import { addJoinCommand } from './cli/join-command.ts';
import { addKeyCommands } from './cli/keys.ts';
import { addLaunchCommand } from './cli/launch/launch.ts';
import { addModelCommands } from './cli/models.ts';
import { addNodeCommands } from './cli/nodes.ts';
import { ensureOperatorKey } from './cli/operator-key.ts';
import { keyedPlace, placeOf } from './cli/place.ts';
import { fetchStatus, statusText } from './cli/status.ts';
import { addTokenCommands } from './cli/tokens.ts';
import { up } from './cli/up.ts';
import { addUpdateCommands } from './cli/updates.ts';
import { addUserCommands } from './cli/users.ts';
import { type CoordinatorConfig, readConfig } from './config.ts';
import { startCoordinator } from './coordinator.ts';
import { createLogger } from './logger.ts';
import { VERSION } from './version.ts';

const program = new Command('lai')
  .description('The GPUs you own, as one OpenAI-compatible endpoint.')
  .version(VERSION)
  // So that `updates start --version` means another one than ours.
  .enablePositionalOptions();

const withSettings = (command: Command): Command =>
  command
    .option('--data-dir <dir>', 'where keys, nodes and logs are kept')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1, this machine only)')
    .option('--port <port>', 'port to listen on')
    .option('--database-url <url>', 'a PostgreSQL, or another SQLite file (default: a file in the data directory)')
    .option('--redis-url <url>', 'an existing Redis instead of a private one')
    .option('--log-level <level>', 'fatal to trace');

const settings = (flags: Record<string, unknown>): CoordinatorConfig => readConfig(flags, process.env);

withSettings(program.command('up'))
  .description('run coordinator, Redis and an agent on this machine, and ask a first question')
  .option('--lan [address]', 'other machines may join: also listen on the local network, encrypted')
  .option('--once', 'stop after the first answer')
  .option('--demo', 'three simulated nodes instead of this machine')
  .action(async (flags) =>
    process.exit(await up({ config: settings(flags), once: flags.once === true, demo: flags.demo === true })),
  );

withSettings(program.command('serve'))
  .description('run the coordinator alone')
  .option('--lan [address]', 'also listen on the local network, encrypted with a certificate of its own')
  .action(async (flags) => {
    const config = settings(flags);
    const coordinator = await startCoordinator(config, createLogger(config.logLevel));
    await ensureOperatorKey(coordinator.db, config.dataDir);
    // To the terminal of whoever started us, not into the log.
    if (coordinator.setupUrl) process.stderr.write(`First operator: ${coordinator.setupUrl}\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => void coordinator.close().then(() => process.exit(0)));
  });

withSettings(program.command('status'))
  .description('show the fleet')
  .option('--json', 'as JSON')
  .action(async (flags) => {
    const { url, key } = keyedPlace(flags);
    const status = await fetchStatus(url, key);
    process.stdout.write(flags.json ? `${JSON.stringify(status, null, 2)}\n` : statusText(status));
  });

withSettings(program.command('explain'))
  .description('say why a request went where it went (the id is in the header x-request-id)')
  .argument('<request-id>')
  .option('--json', 'as JSON')
  .action(async (requestId: string, flags) => {
    const explanation = await fetchExplanation(placeOf(flags, process.env), requestId);
    process.stdout.write(flags.json ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation));
  });

addKeyCommands(program, withSettings);
addUserCommands(program, withSettings);
addTokenCommands(program, withSettings);
addJoinCommand(program, withSettings);
addNodeCommands(program, withSettings);
addModelCommands(program, withSettings);
addLaunchCommand(program, withSettings);
addUpdateCommands(program, withSettings);
addAuditCommands(program, withSettings);
addBackupCommands(program, withSettings);

program.parseAsync().catch((error: unknown) => {
  console.error(`lai: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
