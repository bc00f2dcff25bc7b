import { homedir, userInfo } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { compareVersions } from '@lai/shared/release';
import type { Command } from 'commander';
import type { AgentConfig } from '../config.ts';
import { readConfig } from '../config.ts';
import { readCredential } from '../identity.ts';
import { LOCAL_VERSION } from '../local/local-status.ts';
import { fetchManifest } from '../service/download.ts';
import { installationOf } from '../service/installation.ts';
import { type Layout, layoutOf } from '../service/layout.ts';
import { BUILT_IN_RELEASE_KEY, openManifest } from '../service/release.ts';
import { runCommand, type Scope, type ServiceManager } from '../service/service.ts';
import { serviceManagerOf } from '../service/this-system.ts';
import { readRolledBack, TRIAL_MS } from '../service/trial.ts';
import { pathsToRemove, uninstall } from '../service/uninstall.ts';
import { VERSION } from '../version.ts';
import { answered, askAgent, askStatus } from './ask-agent.ts';
import { type CliEnv, UsageError } from './commands.ts';

const VERBS = ['install', 'start', 'stop', 'restart', 'status', 'uninstall'] as const;
/** After its minute the launcher takes a new version back, and the old one needs some seconds to answer. */
const RETURN_LIMIT_MS = TRIAL_MS + 60_000;
const LOOK_EVERY_MS = 500;

/** How the agent lives on this machine: its service, its version, and its end. */
export const addServiceCommands = (program: Command, withSettings: (command: Command) => Command, env: CliEnv): void => {
  const config = (flags: Record<string, unknown>): AgentConfig => readConfig(flags, env.environment);
  const say = (flags: { json?: boolean }, value: object, page: string) =>
    env.print(flags.json ? JSON.stringify({ version: LOCAL_VERSION, ...value }, null, 2) : page);
  const withScope = (command: Command): Command =>
    command
      .option('--user', 'of this user, without rights over the machine')
      .option('--system', 'of the whole machine (the default for root)')
      .option('--account <name>', 'whom the service runs as (macOS; on Windows LocalSystem)');

  withScope(program.command('service <verb>'))
    .exitOverride()
    .description(`the agent as a service of this machine: ${VERBS.join(', ')}`)
    .option('--json', 'for programs')
    .action(async (verb: string, flags) => {
      if (!isVerb(verb)) throw new UsageError(`There is no verb "${verb}": ${VERBS.join(', ')}.`);
      const manager = managerOf(placeOf(flags, env), env, flags.account);
      if (verb === 'install') {
        const outcome = await manager.install();
        say(flags, { outcome }, `The service is ${outcome === 'unchanged' ? 'as it should be' : outcome}.`);
        return;
      }
      if (verb !== 'status') await manager[verb]();
      const status = await manager.status();
      const details =
        'detail' in status ? `, ${status.detail ?? ''}${status.isEnabled ? '' : ', does not start with the machine'}` : '';
      say(flags, { service: status }, `${status.kind}${details}`);
      if (verb === 'status' && status.kind !== 'running') env.exitWith(1);
    });

  withSettings(program.command('update'))
    .description('bring this machine to the version that its coordinator has; comes back by itself when that fails')
    .option('--version <version>', 'another one than the newest')
    .option('--check', 'only say what there is')
    .option('--force', 'go back to an older version, or try one again that was taken back')
    .option('--json', 'for programs: a line per piece of news')
    .action(async (flags) => {
      const { dataDir, releaseKey, programDir } = config({ ...flags, version: undefined });
      if (flags.check) {
        const credential = readCredential(dataDir);
        if (!credential) throw new Error('This machine has not joined a fleet yet.');
        const { version } = await openManifest(
          await fetchManifest(credential.url, flags.version),
          releaseKey ?? BUILT_IN_RELEASE_KEY,
        );
        const order = compareVersions(version, VERSION);
        const page = order > 0 ? `${version} is there; this is ${VERSION}.` : `Nothing newer than ${VERSION}.`;
        say(flags, { available: version, current: VERSION }, page);
        return;
      }
      const before = (await askStatus(dataDir)).node;
      let last: { error?: string; kind?: string; version?: string } = {};
      const asked = await askAgent(dataDir, {
        method: 'POST',
        path: '/update',
        body: { isForced: flags.force === true, ...(flags.version ? { version: flags.version } : {}) },
        onLine: (line) => {
          last = line as typeof last;
          const { stage } = line as { stage?: string };
          if (flags.json) env.print(JSON.stringify(line));
          else if (stage) env.print(`${stage} …`);
        },
      });
      answered(asked);
      if (last.error !== undefined) throw new Error(last.error);
      if (last.kind === 'unchanged') return say(flags, last, `This is ${last.version} already.`);
      const after = await untilBack(dataDir, before.pid);
      if (after !== last.version) {
        const why = programDir ? readRolledBack(programDir)?.why : undefined;
        throw new Error(`${last.version} was taken back: ${why ?? 'it did not connect'}. ${after} runs again.`);
      }
      say(flags, { kind: 'updated', version: after }, `${after} runs and is connected.`);
    });

  withScope(program.command('uninstall'))
    .exitOverride()
    .description('take service and program away; settings, identity and models stay')
    .option('--purge', 'those too, and the account')
    .option('--dry-run', 'only say what would go')
    .action(async (flags) => {
      const layout = placeOf(flags, env);
      if (flags.dryRun) {
        env.print(['The service', ...pathsToRemove(layout, flags.purge === true)].join('\n'));
        return;
      }
      const removed = await uninstall({
        layout,
        manager: serviceManagerOf(process.platform, installationOf(process.platform, layout, flags.account), runCommand),
        isPurge: flags.purge === true,
        run: runCommand,
      });
      env.print(`Removed: ${['the service', ...removed].join(', ')}.`);
      env.print('The coordinator still knows this node: `lai nodes remove` there forgets it.');
    });
};

const isVerb = (verb: string): verb is (typeof VERBS)[number] => (VERBS as readonly string[]).includes(verb);

const placeOf = (flags: { user?: boolean; system?: boolean }, env: CliEnv): Layout => {
  if (flags.user && flags.system) throw new UsageError('Use --user or --system, not both.');
  const isRoot = process.getuid?.() === 0;
  const scope: Scope = flags.user ? 'user' : flags.system || isRoot || process.platform === 'win32' ? 'system' : 'user';
  return layoutOf({ platform: process.platform, scope, home: homedir(), environment: env.environment });
};

const managerOf = (layout: Layout, env: CliEnv, account?: string): ServiceManager => {
  // A daemon of a Mac runs as whoever installs it; the others have accounts of their own.
  const isInstallers = process.platform === 'darwin' && layout.scope === 'system';
  const name = account ?? (isInstallers ? (env.environment['SUDO_USER'] ?? userInfo().username) : null);
  const manager = serviceManagerOf(process.platform, installationOf(process.platform, layout, name), runCommand);
  if (!manager) throw new Error(`Lai knows no services on ${process.platform}; start the agent by hand: lai-agent run`);
  return manager;
};

/** The version that answers, connected, in another process than before. */
const untilBack = async (dataDir: string, pidBefore: number): Promise<string> => {
  const deadline = performance.now() + RETURN_LIMIT_MS;
  while (performance.now() < deadline) {
    const status = await askStatus(dataDir).catch(() => null);
    if (status && status.node.pid !== pidBefore && status.coordinator.state === 'open') return status.node.agentVersion;
    await pause(LOOK_EVERY_MS);
  }
  throw new Error('The agent did not come back; look at: lai-agent logs');
};
