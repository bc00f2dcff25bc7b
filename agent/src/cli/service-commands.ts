import { homedir, userInfo } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { UsageError } from '@lai/shared/command-failure';
import { compareVersions } from '@lai/shared/release';
import type { Command } from 'commander';
import type { AgentConfig } from '../config.ts';
import { readCredential } from '../identity.ts';
import { LOCAL_VERSION } from '../local/local-status.ts';
import { fetchManifest } from '../service/download.ts';
import { installationOf } from '../service/installation.ts';
import { type Layout, layoutOf } from '../service/layout.ts';
import { BUILT_IN_RELEASE_KEY, openManifest } from '../service/release.ts';
import { runCommand, type Scope, type ServiceManager, type ServiceStatus } from '../service/service.ts';
import { readAnswers } from '../service/settings.ts';
import { setUp } from '../service/setup.ts';
import { serviceManagerOf } from '../service/this-system.ts';
import { readRolledBack, TRIAL_MS } from '../service/trial.ts';
import { pathsToRemove, uninstall } from '../service/uninstall.ts';
import { VERSION } from '../version.ts';
import { agentHere } from './agent-here.ts';
import { answered, askAgent, askStatus } from './ask-agent.ts';
import type { CliEnv } from './commands.ts';

const VERBS = ['install', 'start', 'stop', 'restart', 'status', 'uninstall'] as const;
/** After its minute the launcher takes a new version back, and the old one needs some seconds to answer. */
const RETURN_LIMIT_MS = TRIAL_MS + 60_000;
const LOOK_EVERY_MS = 500;
const DRAIN_LIMIT_MS = 120_000;

/** How the agent lives on this machine: its service, its version, and its end. */
export const addServiceCommands = (program: Command, withPlace: (command: Command) => Command, env: CliEnv): void => {
  const config = (flags: Record<string, unknown>): AgentConfig => agentHere(flags, env.environment);
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
    .option('--from <dir>', 'install: an unpacked release, which becomes the program of this machine')
    .option('--answers <file>', 'install: NAME=value lines with LAI_URL, LAI_TOKEN and settings that stay')
    .option('--force', 'install: also an older version, or one that was taken back')
    .option('--dry-run', 'install, uninstall: only say what would be done')
    .option('--purge', 'uninstall: settings, identity, models and the account too')
    .option('--json', 'for programs')
    .action(async (verb: string, flags) => {
      if (!isVerb(verb)) throw new UsageError(`There is no verb "${verb}": ${VERBS.join(', ')}.`);
      if (verb === 'uninstall') return leave(flags, env);
      const layout = placeOf(flags, env);
      const manager = managerOf(layout, env, flags.account);
      if (verb !== 'status' && !flags.dryRun) mustBeAbleTo(layout);
      if (verb === 'install' && flags.from) {
        const { dataDir } = layout;
        await setUp({
          from: flags.from,
          layout,
          manager,
          answers: flags.answers ? readAnswers(flags.answers) : definedIn(env.environment),
          isForced: flags.force === true,
          isDryRun: flags.dryRun === true,
          say: env.print,
          connectedVersion: async () => {
            const { coordinator, node } = await askStatus(dataDir);
            return coordinator.state === 'open' ? node.agentVersion : null;
          },
          drain: () => untilDrained(dataDir),
        });
        return;
      }
      if (verb === 'install') {
        const outcome = await manager.install();
        say(flags, { outcome }, `The service is ${outcome === 'unchanged' ? 'as it should be' : outcome}.`);
        return;
      }
      if (verb !== 'status') await manager[verb]();
      const status = await statusOf(manager, flags, env);
      const details =
        'detail' in status ? `, ${status.detail ?? ''}${status.isEnabled ? '' : ', does not start with the machine'}` : '';
      say(flags, { service: status }, `${status.kind}${details}`);
      if (verb === 'status' && status.kind !== 'running') env.exitWith(1);
    });

  withPlace(program.command('update'))
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
    .action((flags) => leave(flags, env));
};

interface LeaveFlags {
  readonly user?: boolean;
  readonly system?: boolean;
  readonly account?: string;
  readonly purge?: boolean;
  readonly dryRun?: boolean;
}

const leave = async (flags: LeaveFlags, env: CliEnv): Promise<void> => {
  const layout = placeOf(flags, env);
  const isPurge = flags.purge === true;
  if (flags.dryRun)
    return env.print(['the service', ...pathsToRemove(layout, isPurge)].map((what) => `would remove ${what}`).join('\n'));
  mustBeAbleTo(layout);
  const manager = managerOf(layout, env, flags.account);
  if (process.platform === 'win32') {
    // We are the program that would have to go.
    await manager.uninstall();
    env.print(`Removed: the service. The rest goes with the installer: install.ps1 -Uninstall${isPurge ? ' -Purge' : ''}.`);
    return;
  }
  const removed = await uninstall({ layout, manager, isPurge, run: runCommand });
  env.print(`Removed: ${['the service', ...removed].join(', ')}.`);
  env.print('The coordinator still knows this node: `lai nodes remove` there forgets it.');
};

/** Before half of it is done. */
const mustBeAbleTo = ({ scope }: Layout): void => {
  if (scope === 'system' && process.getuid !== undefined && process.getuid() !== 0)
    throw new UsageError('This changes the machine, so it needs root: with sudo. Without: --user.');
};

const definedIn = (environment: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).filter((pair): pair is [string, string] => pair[1] !== undefined));

/** Takes nothing new and waits for what runs, but not for ever: what is cut short goes on elsewhere. */
const untilDrained = async (dataDir: string): Promise<void> => {
  const deadline = performance.now() + DRAIN_LIMIT_MS;
  const asked = await askAgent(dataDir, { method: 'POST', path: '/drain', body: { isDraining: true } }).catch(() => null);
  while (asked !== null && performance.now() < deadline) {
    const status = await askStatus(dataDir).catch(() => null);
    if (status === null || status.snapshot.inFlight === 0) return;
    await pause(LOOK_EVERY_MS);
  }
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

/** Whoever only asks, and did not say whose service, means the machine's where he has none of his own. */
const statusOf = async (
  manager: ServiceManager,
  flags: { user?: boolean; system?: boolean },
  env: CliEnv,
): Promise<ServiceStatus> => {
  const status = await manager.status();
  if (status.kind !== 'absent' || flags.user || flags.system) return status;
  return managerOf(placeOf({ system: true }, env), env).status();
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
