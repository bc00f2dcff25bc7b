import { mkdirSync } from 'node:fs';
import { win32 } from 'node:path';
import { awaitState, type Patience } from './await-state.ts';
import type { Installation, Ran, RunCommand, ServiceManager } from './service.ts';
import { desktopDirOf, giveAccess } from './windows-access.ts';
import { serviceCommand } from './windows-command.ts';
import { installReporter, removeReporter } from './windows-desktop.ts';
import { type Recovery, type Registered, registeredIn } from './windows-registry.ts';
import { stateIn } from './windows-state.ts';

export interface WindowsPlace {
  readonly patience: Patience;
  readonly makeDir: (path: string) => void;
}

const usualPlace: WindowsPlace = {
  // Longer than the wrapper waits before it kills.
  patience: { limitMs: 45_000, everyMs: 500 },
  makeDir: (path) => void mkdirSync(path, { recursive: true }),
};

const DESCRIPTION = 'Puts the GPU of this machine into a Lai fleet.';
const RECOVERY: Recovery = { resetS: 86_400, restartsAfterMs: [5_000, 15_000, 60_000] };

/** Windows' own numbers, which sc.exe ends with. */
const RUNS_ALREADY = 1056;
const NOT_THERE = 1060;
const NOT_RUNNING = 1062;
const LOGON_FAILED = 1069;
const GOES_AT_LAST_HANDLE = 1072;
const NO_RIGHTS = 5;

/**
 * Windows: a service behind shawl, known to `sc`, with an account of its own that may do nothing else. `--account LocalSystem` is for
 * machines whose engines only the system may start. Nothing is opened in the firewall: the agent only calls out.
 */
export const windows = (installation: Installation, run: RunCommand, place: Partial<WindowsPlace> = {}): ServiceManager => {
  const { patience, makeDir } = { ...usualPlace, ...place };
  const { name, scope, dataDir, logPath } = installation;
  if (scope === 'user') throw new Error('On Windows the agent is a service of the machine: without --user, as administrator.');
  const account = accountOf(installation);
  const sc = async (...args: string[]): Promise<Ran> => {
    const ran = await run('sc.exe', args);
    if (ran.code === NO_RIGHTS)
      throw new Error('Windows wants an administrator for this: open the terminal with "Run as administrator".');
    return ran;
  };
  const mustSc = async (args: readonly string[], alsoFine: readonly number[] = []): Promise<void> => {
    const { code, stdout, stderr } = await sc(...args);
    if (code === LOGON_FAILED) throw new Error(`Windows does not let ${account} log on as a service (1069).`);
    if (code !== 0 && !alsoFine.includes(code))
      throw new Error(`sc.exe ${args.join(' ')} ended with ${code}: ${(stdout || stderr).trim().slice(0, 300)}`);
  };
  const registered = async (): Promise<Registered | null> => {
    const { code, stdout } = await run('reg.exe', ['query', `HKLM\\SYSTEM\\CurrentControlSet\\Services\\${name}`]);
    return code === 0 ? registeredIn(stdout) : null;
  };
  const stateNow = async () => {
    const { code, stdout } = await sc('queryex', name);
    if (code === NOT_THERE) return null;
    if (code !== 0) throw new Error(`sc.exe queryex ${name} ended with ${code}: ${stdout.trim().slice(0, 300)}`);
    return stateIn(stdout);
  };

  const register = async (before: Registered | null): Promise<boolean> => {
    const command = serviceCommand(installation);
    const wanted = ['binPath=', command, 'start=', 'delayed-auto', 'obj=', account];
    const steps: [isRight: boolean, args: string[]][] = [
      [before !== null, ['create', name, ...wanted, 'DisplayName=', 'Lai agent']],
      [before === null || isSame(before, { command, account }), ['config', name, ...wanted]],
      [before?.description === DESCRIPTION, ['description', name, DESCRIPTION]],
      [before?.hasSid === true, ['sidtype', name, 'unrestricted']],
      [recovers(before), ['failure', name, 'reset=', String(RECOVERY.resetS), 'actions=', recoveryWords]],
      [before?.recoversFromExit === true, ['failureflag', name, '1']],
    ];
    const missing = steps.filter(([isRight]) => !isRight);
    for (const [, args] of missing) await mustSc(args);
    return missing.length > 0;
  };

  const start = async (): Promise<void> => {
    const state = await stateNow();
    if (state === null) throw new Error('The service is not installed: lai-agent service install');
    if (state.state !== 'RUNNING') await mustSc(['start', name], [RUNS_ALREADY]);
  };

  /** sc.exe returns while the service still lets go of its engines. */
  const stop = async (): Promise<void> => {
    const isStopped = async () => ['STOPPED', undefined].includes((await stateNow())?.state);
    if (await isStopped()) return;
    await mustSc(['stop', name], [NOT_RUNNING]);
    if (!(await awaitState(isStopped, patience)))
      throw new Error(`${name} has not stopped within ${patience.limitMs / 1_000} seconds.`);
  };

  return {
    install: async () => {
      for (const dir of [desktopDirOf(installation), ...(logPath === null ? [] : [win32.dirname(logPath)])]) makeDir(dir);
      const before = await registered();
      const changes = [await register(before), await giveAccess(installation, run), await installReporter(installation, run)];
      return before === null ? 'created' : changes.includes(true) ? 'changed' : 'unchanged';
    },
    start,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
    status: async () => {
      const now = await stateNow();
      if (now === null) return { kind: 'absent' };
      const isEnabled = (await registered())?.startsBySelf ?? false;
      const kind = now.hasFailed ? 'failed' : now.state === 'STOPPED' ? 'stopped' : 'running';
      return { kind, isEnabled, pid: now.pid, detail: `${now.detail}, as ${account} in ${dataDir}` };
    },
    uninstall: async () => {
      await stop();
      await mustSc(['delete', name], [NOT_THERE, GOES_AT_LAST_HANDLE]);
      await removeReporter(run);
    },
  };
};

const recoveryWords = RECOVERY.restartsAfterMs.map((ms) => `restart/${ms}`).join('/');

const recovers = (before: Registered | null): boolean => JSON.stringify(before?.recovery) === JSON.stringify(RECOVERY);

/** Names of accounts and paths have no case on Windows. */
const isSame = (before: Registered, wanted: { command: string; account: string }): boolean =>
  before.command.toLowerCase() === wanted.command.toLowerCase() &&
  before.account.toLowerCase() === wanted.account.toLowerCase() &&
  before.startsBySelf &&
  before.isDelayed;

/** Only accounts that have no password: we will not keep one. */
const accountOf = ({ name, account }: Installation): string => {
  if (account === null) return `NT SERVICE\\${name}`;
  if (/^(?:LocalSystem|SYSTEM)$/i.test(account)) return 'LocalSystem';
  throw new Error(`The service runs as an account of its own or as LocalSystem, not as ${account}.`);
};
