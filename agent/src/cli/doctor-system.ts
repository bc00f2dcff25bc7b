import { readFileSync } from 'node:fs';
import type { RunCommand } from '../service/service.ts';
import {
  fileVaultFinding,
  launchdFinding,
  ollamaAppFinding,
  ollamaPlaceFinding,
  windowsServiceFindings,
} from './doctor-services.ts';
import { linuxSleepFinding, pmsetFinding, powercfgFinding } from './doctor-texts.ts';
import type { Finding } from './finding.ts';

export interface SystemQuestion {
  readonly platform: NodeJS.Platform;
  readonly ollamaMode: 'auto' | 'adopt' | 'own';
  /** Where Ollama would be started from; null when there is none. */
  readonly ollamaProgram: string | null;
  readonly uid: number;
  readonly run: RunCommand;
}

/** Sleep and service settings, each by the system's own tool; a tool that is not there tells nothing. */
export const checkSystem = async (question: SystemQuestion): Promise<Finding[]> => {
  const found = await (SYSTEMS[question.platform] ?? (async () => []))(question);
  return found.flatMap((finding) => finding ?? []);
};

type Check = (question: SystemQuestion) => Promise<(Finding | null)[]>;

/** One tool after the other: the machine is examined, not loaded. */
const onMac: Check = async ({ run, uid, ollamaMode }) => [
  pmsetFinding(await said(run, 'pmset', '-g')),
  fileVaultFinding(await said(run, 'fdesetup', 'status')),
  launchdFinding(
    await said(run, 'launchctl', 'print-disabled', 'system'),
    await said(run, 'launchctl', 'print-disabled', `gui/${uid}`),
  ),
  ollamaAppFinding(await said(run, 'pgrep', '-fl', 'Ollama.app/Contents/MacOS/Ollama'), ollamaMode),
];

const onWindows: Check = async ({ run, ollamaMode, ollamaProgram }) => {
  const registry = await said(run, 'reg.exe', 'query', 'HKLM\\SYSTEM\\CurrentControlSet\\Services\\LAIAgent');
  const task = registry === '' ? '' : await said(run, 'schtasks.exe', '/Query', '/TN', 'LAIAgentDesktop', '/XML');
  return [
    powercfgFinding(await said(run, 'powercfg.exe', '/query', 'SCHEME_CURRENT', 'SUB_SLEEP', 'STANDBYIDLE')),
    ...windowsServiceFindings(registry, task),
    ollamaAppFinding(await said(run, 'tasklist.exe', '/FI', 'IMAGENAME eq ollama app.exe', '/FO', 'CSV', '/NH'), ollamaMode),
    ollamaPlaceFinding(ollamaProgram, registry),
  ];
};

const onLinux: Check = async ({ run }) => {
  const sleepTarget = await said(run, 'systemctl', 'is-enabled', 'sleep.target');
  const inhibit = await run('systemd-inhibit', ['--what=sleep:idle', '--mode=block', 'true']).catch(() => null);
  return [linuxSleepFinding({ sleepTarget, idleAction: idleAction(), canInhibit: inhibit?.code === 0 })];
};

const SYSTEMS: Partial<Record<NodeJS.Platform, Check>> = { darwin: onMac, win32: onWindows, linux: onLinux };

const said = async (run: RunCommand, program: string, ...args: readonly string[]): Promise<string> =>
  (await run(program, args).catch(() => null))?.stdout ?? '';

const idleAction = (): string => {
  try {
    return /^\s*IdleAction\s*=\s*(\S+)/m.exec(readFileSync('/etc/systemd/logind.conf', 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
};
