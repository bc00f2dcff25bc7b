import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { awaitState, type Patience } from './await-state.ts';
import { type MacAccount, plistText, rotationText } from './launchd-plist.ts';
import { accountIn, isDisabledIn, statusIn } from './launchd-print.ts';
import { type Installation, mustRun, type RunCommand, type ServiceManager } from './service.ts';

export interface LaunchdPlace {
  /** Of the process that installs: root for the machine, the user for a session. */
  readonly uid: number;
  /** Where macOS keeps what it does with old logs. */
  readonly rotationDir: string;
  readonly patience: Patience;
  /** Null: it has gone meanwhile, the agent may be running. */
  readonly ownerOf: (path: string) => number | null;
}

/** Longer than `ExitTimeOut`, after which launchd kills. */
const PATIENCE: Patience = { limitMs: 45_000, everyMs: 250 };
const usualPlace = (): LaunchdPlace => ({
  uid: process.getuid?.() ?? 0,
  rotationDir: '/etc/newsyslog.d',
  patience: PATIENCE,
  ownerOf: (path) => lstatSync(path, { throwIfNoEntry: false })?.uid ?? null,
});
const NO_SUCH_PROCESS = 3;
const IN_PROGRESS = 36;
const NOT_LOADED = 113;
const NO_SUCH_SESSION = 125;

/**
 * macOS: a property list and `launchctl`. A daemon of the machine by default: it runs before anybody has logged in, and macOS does not
 * keep daemons from the local network; of a session (`--user`) an agent of its user.
 *
 * Loaded means started (`RunAtLoad`), so `install` only writes and `start` loads. A changed list counts from the next load on, which is
 * why `restart` unloads: `kickstart -k` would start the old one again.
 */
export const launchd = (installation: Installation, run: RunCommand, place: Partial<LaunchdPlace> = {}): ServiceManager => {
  const { uid, rotationDir, patience, ownerOf } = { ...usualPlace(), ...place };
  const { name, registrationPath, scope, dataDir, logPath } = installation;
  if (registrationPath === null) throw new Error('launchd needs a property list');
  const domain = scope === 'system' ? 'system' : `gui/${uid}`;
  const target = `${domain}/${name}`;
  const rotationPath = join(rotationDir, `${name}.conf`);
  const print = () => run('launchctl', ['print', target]);
  const isLoaded = async () => (await print()).code === 0;
  const isDisabled = async () => isDisabledIn((await run('launchctl', ['print-disabled', domain])).stdout, name);

  const accountOf = async (): Promise<MacAccount | null> => {
    if (scope === 'user') {
      if (uid === 0) throw new Error('The service of a session is installed by its user: without sudo.');
      return null;
    }
    if (uid !== 0) throw new Error('A service of the machine is installed by root: with sudo. Without: --user.');
    const account = accountIn((await run('id', ['-P', installation.account ?? ''])).stdout);
    if (account === null) throw new Error(`There is no account "${installation.account}". Name one with --account.`);
    if (account.uid === 0) throw new Error('Engines must not run as root. Name whom the service runs as: --account <name>.');
    return account;
  };

  /** What `join` and the installer wrote as root is the account's, too. */
  const giveTo = async (account: MacAccount, dir: string): Promise<boolean> => {
    const paths = [dir, ...readdirSync(dir, { recursive: true }).map((entry) => join(dir, String(entry)))];
    if (paths.every((path) => [account.uid, null].includes(ownerOf(path)))) return false;
    await mustRun(run, 'chown', ['-R', account.name, dir]);
    return true;
  };

  const makeFolders = async (account: MacAccount | null): Promise<boolean> => {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const logDir = logPath === null ? [] : [dirname(logPath)];
    for (const dir of logDir) mkdirSync(dir, { recursive: true });
    let isChanged = false;
    if (account === null) return isChanged;
    // The program's folder as well: the agent puts its own updates there.
    for (const dir of [dirname(installation.command[0]), dataDir, ...logDir])
      if (existsSync(dir) && (await giveTo(account, dir))) isChanged = true;
    return isChanged;
  };

  const start = async (): Promise<void> => {
    if (!existsSync(registrationPath)) throw new Error('The service is not installed: lai-agent service install');
    const { code, stdout } = await print();
    if (code === 0) {
      if (statusIn(stdout, true).kind !== 'running') await mustRun(run, 'launchctl', ['kickstart', target]);
      return;
    }
    const loaded = await run('launchctl', ['bootstrap', domain, registrationPath]);
    if (loaded.code === NO_SUCH_SESSION)
      throw new Error(
        'Nobody is logged in at the screen of this Mac, so there is no session. Log in there, or install with sudo.',
      );
    if (loaded.code !== 0)
      throw new Error(`launchctl bootstrap ${domain} ended with ${loaded.code}: ${loaded.stderr.trim().slice(0, 300)}`);
  };

  /** `bootout` returns before the process has ended, and loading again before that fails. */
  const stop = async (): Promise<void> => {
    if (!(await isLoaded())) return;
    const { code, stderr } = await run('launchctl', ['bootout', target]);
    if (![0, NO_SUCH_PROCESS, IN_PROGRESS, NOT_LOADED].includes(code))
      throw new Error(`launchctl bootout ${target} ended with ${code}: ${stderr.trim().slice(0, 300)}`);
    if (!(await awaitState(async () => !(await isLoaded()), patience)))
      throw new Error(`${name} has not stopped within ${patience.limitMs / 1_000} seconds.`);
  };

  return {
    install: async () => {
      const account = await accountOf();
      const isNew = !existsSync(registrationPath);
      const changes = [
        await makeFolders(account),
        isWritten(registrationPath, plistText(installation, account)),
        account !== null && logPath !== null && isWritten(rotationPath, rotationText(logPath, account)),
      ];
      // Only what was switched off is switched on: macOS never forgets what it was told here.
      if (await isDisabled()) {
        await mustRun(run, 'launchctl', ['enable', target]);
        changes.push(true);
      }
      return isNew ? 'created' : changes.includes(true) ? 'changed' : 'unchanged';
    },
    start,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
    status: async () => {
      const { code, stdout } = await print();
      if (code !== 0 && !existsSync(registrationPath)) return { kind: 'absent' };
      const isEnabled = !(await isDisabled());
      if (code !== 0) return { kind: 'stopped', isEnabled, pid: null, detail: 'not loaded' };
      return statusIn(stdout, isEnabled);
    },
    uninstall: async () => {
      await stop();
      rmSync(registrationPath, { force: true });
      if (scope === 'system') rmSync(rotationPath, { force: true });
    },
  };
};

/** launchd takes no list that others could write. True: it was not there, or said something else. */
const isWritten = (path: string, text: string): boolean => {
  try {
    if (readFileSync(path, 'utf8') === text && (lstatSync(path).mode & 0o777) === 0o644) return false;
  } catch {
    // It is not there yet.
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o644 });
  chmodSync(path, 0o644);
  return true;
};
