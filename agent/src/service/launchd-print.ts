import type { ServiceStatus } from './service.ts';
import { EXIT_OTHER_VERSION } from './trial.ts';

/** Pure. What `launchctl print <target>` tells. Only lines of the first level are the job's own. */
export const statusIn = (text: string, isEnabled: boolean): ServiceStatus => {
  const of = (key: string) => new RegExp(`^\\t${key} = (.*)$`, 'm').exec(text)?.[1] ?? null;
  const pid = Number(of('pid') ?? Number.NaN);
  const lastExit = of('last exit code');
  const signal = of('last terminating signal');
  const code = Number.parseInt(lastExit ?? '', 10);
  const hasFailed = signal !== null || (Number.isInteger(code) && code !== 0 && code !== EXIT_OTHER_VERSION);
  const last = signal ?? (lastExit === null || lastExit === '(never exited)' ? null : `last exit ${lastExit}`);
  return {
    kind: Number.isInteger(pid) ? 'running' : hasFailed ? 'failed' : 'stopped',
    isEnabled,
    pid: Number.isInteger(pid) ? pid : null,
    detail: [of('state') ?? 'unknown', last].flatMap((word) => word ?? []).join(', '),
  };
};

/** Pure. `"dev.lai.agent" => disabled` in `launchctl print-disabled`; before macOS 13 it was `=> true`. */
export const isDisabledIn = (text: string, label: string): boolean =>
  new RegExp(`^\\s*"${label.replaceAll('.', '\\.')}"\\s*=>\\s*(?:disabled|true)\\s*$`, 'm').test(text);

/** Pure. `ada:********:501:20::0:0:Ada:/Users/ada:/bin/zsh`, an account as `id -P` tells it; null when it is none. */
export const accountIn = (text: string): { name: string; uid: number; home: string } | null => {
  const [name, , uid, , , , , , home] = text.trim().split('\n')[0]?.split(':') ?? [];
  return name && home?.startsWith('/') && /^\d+$/.test(uid ?? '') ? { name, uid: Number(uid), home } : null;
};
