import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Installation, mustRun, type RunCommand, type ServiceManager } from './service.ts';
import { unitText } from './systemd-unit.ts';

/** Linux: a unit file and `systemctl`, for the machine or (`--user`) for a session. */
export const systemd = (installation: Installation, run: RunCommand): ServiceManager => {
  const { name, registrationPath, scope } = installation;
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
  return {
    install: async () => {
      const before = read();
      const text = unitText(installation);
      const { code } = await run('systemctl', words('is-enabled', name));
      if (before === text && code === 0) return 'unchanged';
      if (before !== text) {
        mkdirSync(dirname(registrationPath), { recursive: true });
        writeFileSync(registrationPath, text, { mode: 0o644 });
        await systemctl('daemon-reload');
      }
      await systemctl('enable', name);
      return before === null ? 'created' : 'changed';
    },
    start: async () => void (await systemctl('start', name)),
    stop: async () => {
      if (read() !== null) await systemctl('stop', name);
    },
    restart: async () => void (await systemctl('restart', name)),
    status: async () => {
      if (read() === null) return { kind: 'absent' };
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
      await systemctl('disable', '--now', name);
      rmSync(registrationPath, { force: true });
      await systemctl('daemon-reload');
      await run('systemctl', words('reset-failed', name));
    },
  };
};
