import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ensureAccount, giveTo } from './account.ts';
import { type Installation, mustRun, NothingStartsServices, type RunCommand, type ServiceManager } from './service.ts';
import { unitText } from './systemd-unit.ts';

/** As sd_booted(3) says it. In containers and images that are being built only files can be laid; starting is for later. */
const isBooted = () => existsSync('/run/systemd/system');

/** Linux: a unit file and `systemctl`, for the machine or (`--user`) for a session. */
export const systemd = (installation: Installation, run: RunCommand, isRunning: () => boolean = isBooted): ServiceManager => {
  const { name, registrationPath, scope, account, command, dataDir } = installation;
  if (registrationPath === null) throw new Error('systemd needs a unit file');
  const words = (...args: string[]) => (scope === 'user' ? ['--user', ...args] : args);
  const systemctl = (...args: string[]) => mustRun(run, 'systemctl', words(...args));
  const read = () => {
    try {
      return readFileSync(registrationPath, 'utf8');
    } catch {
      return null;
    }
  };
  const start = async (verb: 'start' | 'restart') => {
    if (read() === null) throw new Error('The service is not installed: lai-agent service install');
    if (!isRunning()) throw new NothingStartsServices(`systemd does not run this machine. By hand: ${command.join(' ')}`);
    await systemctl(verb, name);
  };
  return {
    install: async () => {
      const changes: boolean[] = [];
      if (account !== null) {
        changes.push(await ensureAccount(account, dataDir, run));
        mkdirSync(dataDir, { recursive: true, mode: 0o700 });
        changes.push(await giveTo(account, [dirname(command[0]), dataDir], run));
      }
      const before = read();
      const text = unitText(installation);
      if (before !== text) {
        mkdirSync(dirname(registrationPath), { recursive: true });
        writeFileSync(registrationPath, text, { mode: 0o644 });
        if (isRunning()) await systemctl('daemon-reload');
        changes.push(true);
      }
      if ((await run('systemctl', words('is-enabled', name))).code !== 0) {
        await systemctl('enable', name);
        changes.push(true);
      }
      return before === null ? 'created' : changes.includes(true) ? 'changed' : 'unchanged';
    },
    start: () => start('start'),
    stop: async () => {
      if (read() !== null && isRunning()) await systemctl('stop', name);
    },
    restart: () => start('restart'),
    status: async () => {
      if (read() === null) return { kind: 'absent' };
      if (!isRunning()) {
        const isEnabled = (await run('systemctl', words('is-enabled', name))).code === 0;
        return { kind: 'stopped', isEnabled, pid: null, detail: 'systemd does not run this machine' };
      }
      const shown = await systemctl('show', name, '--property=ActiveState,SubState,MainPID,UnitFileState,Result');
      const of = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(shown)?.[1] ?? '';
      const active = of('ActiveState');
      const kind = active === 'failed' ? 'failed' : active === 'active' || active === 'activating' ? 'running' : 'stopped';
      const pid = Number(of('MainPID'));
      const detail = `${active} (${of('SubState')})${of('Result') === 'success' ? '' : `, ${of('Result')}`}`;
      return { kind, isEnabled: of('UnitFileState') === 'enabled', pid: pid > 0 ? pid : null, detail };
    },
    uninstall: async () => {
      if (read() === null) return;
      if (isRunning()) await systemctl('stop', name);
      await systemctl('disable', name);
      rmSync(registrationPath, { force: true });
      if (!isRunning()) return;
      await systemctl('daemon-reload');
      await run('systemctl', words('reset-failed', name));
    },
  };
};
