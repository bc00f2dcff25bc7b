import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { keyFingerprint } from '@lai/shared/ed25519';
import { compareVersions } from '@lai/shared/release';
import { readConfig } from '../config.ts';
import { enroll, readCredential } from '../identity.ts';
import type { Layout } from './layout.ts';
import { placeSteps, stagedIn } from './place.ts';
import { NothingStartsServices, type ServiceManager } from './service.ts';
import { keptSettings, mergedSettings } from './settings.ts';
import { doSteps, type Step } from './steps.ts';
import { readRolledBack, readTrial } from './trial.ts';
import { currentVersion, programAt } from './versions.ts';

/**
 * What every installer ends with: an unpacked release becomes an agent that runs. It changes what is not as it should be and nothing
 * else, so the same again repairs, a newer release upgrades (on trial, as updates over the wire are), and an aborted run goes on.
 */
export interface SetupOptions {
  /** The unpacked release. */
  readonly from: string;
  readonly layout: Layout;
  readonly manager: ServiceManager;
  /** LAI_URL, LAI_TOKEN, and settings that stay; see settings.ts. */
  readonly answers: Readonly<Record<string, string>>;
  readonly isForced: boolean;
  readonly isDryRun: boolean;
  readonly say: (line: string) => void;
  /** The agent that runs: its version once it is connected, null until then. */
  readonly connectedVersion: () => Promise<string | null>;
  /** Lets it finish what it does, if one runs. */
  readonly drain: () => Promise<void>;
  readonly limitMs?: number;
}

/** A trial, the way back from one, and some seconds to say so. */
const CONNECTED_LIMIT_MS = 150_000;
const LOOK_EVERY_MS = 500;

export const setUp = async (options: SetupOptions): Promise<void> => {
  const { layout, manager, answers, isDryRun, say } = options;
  // Installers close theirs for the token; program and unit are everybody's to read. What is secret says so itself.
  process.umask(0o022);
  const program = programAt(layout.programDir);
  const staged = stagedIn(options.from);
  refuseStepsBack(staged.version, program.dir, options.isForced);

  const before = await manager.status();
  const settings = { ...keptSettings(answers), ...movedTo(layout, answers['LAI_URL']) };
  const changes = await doSteps([...placeSteps(staged, program, layout), settingsStep(layout, settings)], options);
  const identity = identityStep(layout, answers);
  const joined = await doSteps([identity], options);
  if (isDryRun) {
    if (before.kind === 'absent') say(`would register the service ${layout.serviceName} and start it`);
    else if (changes.length > 0) say('would start the service again');
    say(changes.length + joined.length === 0 && before.kind !== 'absent' ? 'Nothing to do.' : 'Nothing was changed.');
    return;
  }

  const registered = await manager.install();
  ownSettings(layout);
  if (registered !== 'unchanged')
    say(`${registered === 'created' ? 'registered' : 'repaired'} the service ${layout.serviceName}`);
  const isChanged = changes.length > 0 || registered !== 'unchanged';
  try {
    if ((await manager.status()).kind !== 'running') await manager.start();
    else if (isChanged) {
      say('starting the service again, when what it does is done');
      await options.drain();
      await manager.restart();
    }
  } catch (error) {
    if (!(error instanceof NothingStartsServices)) throw error;
    say(error.message);
    return;
  }
  const welcome = identity.welcome();
  if (welcome !== null) say(welcome.text);
  if (welcome?.isPending) return;
  await untilConnected(options, staged.version);
  say(isChanged || joined.length > 0 ? `Version ${staged.version} runs and is connected.` : 'Everything is as it should be.');
};

/** A node that has joined goes on with the same coordinator under its new address; that it is the same one, its key proves. */
const movedTo = ({ dataDir, settingsPath }: Layout, url: string | undefined): Record<string, string> => {
  try {
    const known = readCredential(dataDir);
    if (known === null || !url) return {};
    const hasMovedBefore = existsSync(settingsPath) && /^LAI_URL=/m.test(readFileSync(settingsPath, 'utf8'));
    return known.url !== url || hasMovedBefore ? { LAI_URL: url } : {};
  } catch {
    // Not ours to read; only root sets things up.
    return {};
  }
};

/** By hand any step forward is possible, because an installer brings the launcher and Node as well. */
const refuseStepsBack = (version: string, programDir: string, isForced: boolean): void => {
  const current = currentVersion(programAt(programDir));
  if (isForced || current === null) return;
  if (compareVersions(version, current) < 0)
    throw new Error(`Version ${version} is older than ${current}, which is installed. Only --force goes back.`);
  const rolledBack = readRolledBack(programDir);
  if (rolledBack?.version === version && current !== version)
    throw new Error(`Version ${version} was taken back here: ${rolledBack.why}. Only --force tries it again.`);
};

/** For the service's account alone, besides root: addresses of proxies and engines may hold passwords. */
const settingsStep = ({ settingsPath, configDir }: Layout, settings: Readonly<Record<string, string>>): Step => {
  const before = () => (existsSync(settingsPath) ? readFileSync(settingsPath, 'utf8') : '');
  const after = () => mergedSettings(before(), settings);
  return {
    what: `write ${settingsPath}${namesOf(settings)}`,
    isDone: () => before() === after(),
    act: () => {
      mkdirSync(configDir, { recursive: true, mode: 0o755 });
      const draft = `${settingsPath}.${process.pid}`;
      writeFileSync(draft, after(), { mode: 0o600, flush: true });
      renameSync(draft, settingsPath);
    },
  };
};

/** Whoever the state belongs to reads the settings, and nobody else, also when somebody wrote them before us. */
const ownSettings = ({ settingsPath, dataDir }: Layout): void => {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dataDir);
  const found = statSync(settingsPath);
  if (found.uid !== uid) chownSync(settingsPath, uid, gid);
  if ((found.mode & 0o077) !== 0) chmodSync(settingsPath, 0o600);
};

const namesOf = (settings: object): string => {
  const names = Object.keys(settings);
  return names.length === 0 ? '' : ` with ${names.join(', ')}`;
};

interface Welcome {
  readonly text: string;
  readonly isPending: boolean;
}

const identityStep = (layout: Layout, answers: Readonly<Record<string, string>>): Step & { welcome(): Welcome | null } => {
  const { LAI_URL: url = '', LAI_TOKEN: token = '' } = answers;
  let welcome: Welcome | null = null;
  return {
    what: `join ${url}`,
    welcome: () => welcome,
    isDone: async () => {
      const known = readCredential(layout.dataDir);
      if (known === null) return false;
      const wanted = /_([0-9a-f]{32})$/.exec(token)?.[1];
      if (wanted !== undefined && wanted !== (await keyFingerprint(known.coordinatorKey)))
        throw new Error(
          `This machine belongs to ${known.url} already. To move it: lai-agent uninstall --purge, then this again.`,
        );
      return true;
    },
    act: async () => {
      if (url === '' || token === '')
        throw new Error('This machine has not joined yet, which needs LAI_URL and LAI_TOKEN: `lai join-command` makes the line.');
      mkdirSync(layout.dataDir, { recursive: true, mode: 0o700 });
      const { name, insecure, dataDir } = readConfig({ dataDir: layout.dataDir }, answers);
      const { credential, state, fingerprint } = await enroll({ url, token, name, dataDir, isInsecureAllowed: insecure });
      const isPending = state === 'pending';
      const next = isPending
        ? ' An operator has to approve it, when the fingerprint there is the same: `lai nodes approve`.'
        : '';
      welcome = { text: `This node is called ${credential.name}; its fingerprint is ${fingerprint}.${next}`, isPending };
    },
  };
};

const untilConnected = async (options: SetupOptions, version: string): Promise<void> => {
  const { layout, connectedVersion, limitMs = CONNECTED_LIMIT_MS } = options;
  const deadline = performance.now() + limitMs;
  while (performance.now() < deadline) {
    const connected = await connectedVersion().catch(() => null);
    if (connected === version && readTrial(layout.programDir) === null) return;
    if (connected !== null && connected !== version) {
      const why = readRolledBack(layout.programDir)?.why ?? 'it did not start';
      throw new Error(`Version ${version} was taken back: ${why}. ${connected} runs again.`);
    }
    await pause(LOOK_EVERY_MS);
  }
  throw new Error('The service was started, but the agent is not connected. Look at: lai-agent doctor, lai-agent logs');
};
