#!/usr/bin/env node
import { join } from 'node:path';
import { Command } from 'commander';
import { createApiKey } from './access/api-keys.ts';
import { createRegistrationToken } from './access/registration-tokens.ts';
import { readOperatorKey } from './cli/operator-key.ts';
import { fetchStatus, statusText } from './cli/status.ts';
import { up } from './cli/up.ts';
import { type CoordinatorConfig, readConfig } from './config.ts';
import { startCoordinator } from './coordinator.ts';
import { createLogger } from './logger.ts';
import { listApiKeys, revokeApiKey } from './store/api-keys.ts';
import { type Database, openDatabase } from './store/database.ts';
import { VERSION } from './version.ts';

const program = new Command('lai').description('The GPUs you own, as one OpenAI-compatible endpoint.').version(VERSION);

const withSettings = (command: Command): Command =>
  command
    .option('--data-dir <dir>', 'where keys, nodes and logs are kept')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1, this machine only)')
    .option('--port <port>', 'port to listen on')
    .option('--redis-url <url>', 'an existing Redis instead of a private one')
    .option('--log-level <level>', 'fatal to trace');

const settings = (flags: Record<string, unknown>): CoordinatorConfig => readConfig(flags, process.env);

const withDatabase = async (flags: Record<string, unknown>, use: (db: Database) => Promise<void>): Promise<void> => {
  const db = await openDatabase(join(settings(flags).dataDir, 'lai.sqlite'));
  await use(db).finally(() => db.destroy());
};

withSettings(program.command('up'))
  .description('run coordinator, Redis and an agent on this machine, and ask a first question')
  .option('--once', 'stop after the first answer')
  .option('--demo', 'three simulated nodes instead of this machine')
  .action(async (flags) =>
    process.exit(await up({ config: settings(flags), once: flags.once === true, demo: flags.demo === true })),
  );

withSettings(program.command('serve'))
  .description('run the coordinator alone')
  .action(async (flags) => {
    const config = settings(flags);
    const coordinator = await startCoordinator(config, createLogger(config.logLevel));
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => void coordinator.close().then(() => process.exit(0)));
  });

withSettings(program.command('status'))
  .description('show the fleet')
  .option('--json', 'as JSON')
  .action(async (flags) => {
    const { dataDir, host, port } = settings(flags);
    const key = process.env['LAI_API_KEY'] ?? readOperatorKey(dataDir);
    if (!key) throw new Error(`No API key: set LAI_API_KEY, or run this where ${dataDir} is.`);
    const status = await fetchStatus(`http://${host}:${port}`, key);
    process.stdout.write(flags.json ? `${JSON.stringify(status, null, 2)}\n` : statusText(status));
  });

const keys = program.command('keys').description('API keys for clients');

withSettings(keys.command('create'))
  .argument('<name>', 'whose key it is, or for what')
  .option('--admin', 'may also manage the fleet')
  .action((name: string, flags) =>
    withDatabase(flags, async (db) => {
      const { key } = await createApiKey(db, {
        name,
        scopes: flags.admin ? ['inference', 'admin', 'read'] : ['inference'],
        nowMs: Date.now(),
      });
      console.log(`${key}\nThis is the only time it is shown.`);
    }),
  );

withSettings(keys.command('list')).action((flags) =>
  withDatabase(flags, async (db) => {
    for (const row of await listApiKeys(db))
      console.log([row.id, `${row.prefix}…`, row.revoked_at_ms ? 'revoked' : 'valid', row.name].join('  '));
  }),
);

withSettings(keys.command('revoke'))
  .argument('<id>', 'as `lai keys list` shows it')
  .action((id: string, flags) =>
    withDatabase(flags, async (db) => {
      if (!(await revokeApiKey(db, id, Date.now()))) throw new Error(`There is no valid key ${id}.`);
      console.log(`${id} is revoked; a running coordinator refuses it within 5 s.`);
    }),
  );

const tokens = program.command('tokens').description('registration tokens for machines');

withSettings(tokens.command('create'))
  .description('a token that lets one machine join within an hour')
  .action((flags) => withDatabase(flags, async (db) => console.log(await createRegistrationToken(db, Date.now()))));

program.parseAsync().catch((error: unknown) => {
  console.error(`lai: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
