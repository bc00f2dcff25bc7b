import { isDisabledIn } from '../service/launchd-print.ts';
import { type Registered, registeredIn } from '../service/windows-registry.ts';
import { type Finding, fail, warn, well } from './finding.ts';

/** What the systems say about the agent as a service, and about Ollama's own app beside it. All pure. */

const LABEL = 'dev.lai.agent';

/** `print-disabled` of the machine and of the session: what the owner switched off under Login Items, macOS does not start. */
export const launchdFinding = (...texts: readonly string[]): Finding | null => {
  if (texts.some((text) => isDisabledIn(text, LABEL)))
    return warn(
      'machine.service',
      'macOS does not start the agent: it was switched off as a background item.',
      'Switch it on under System Settings → General → Login Items & Extensions, or repair it: sudo lai-agent service install',
    );
  return texts.some((text) => text.includes(`"${LABEL}"`)) ? well('machine.service', 'macOS starts the agent by itself.') : null;
};

/** `FileVault is On.`: no fault, but who waits for a machine after a power cut should know. */
export const fileVaultFinding = (text: string): Finding | null =>
  /FileVault is On/.test(text)
    ? well('machine.filevault', 'FileVault is on: after a restart this Mac serves once somebody has unlocked it.')
    : null;

/**
 * A terminal may reach the local network, and an agent of a session (macOS 15) only when its owner allowed it: then the doctor gets
 * through where the agent does not.
 */
export const localNetworkFinding = (findings: readonly Finding[], isOfSession: boolean): Finding | null => {
  const levelOf = (id: string) => findings.find((finding) => finding.id === id)?.level;
  if (!isOfSession || levelOf('coordinator.socket') !== 'ok' || levelOf('agent.connection') !== 'fail') return null;
  return fail(
    'agent.local-network',
    'This terminal reaches the coordinator and the agent does not: macOS keeps it from the local network.',
    'Allow it under System Settings → Privacy & Security → Local Network, or install it for the machine, which needs no permission.',
  );
};

/** The service in the registry, and the task at log-on (`schtasks /Query /XML`; empty when there is none). */
export const windowsServiceFindings = (registry: string, task: string): Finding[] => {
  const service = registry.includes('ImagePath') ? registeredIn(registry) : null;
  if (service === null) return [];
  return [accountFinding(service), startFinding(service), reporterFinding(task)].flatMap((finding) => finding ?? []);
};

const accountFinding = ({ account }: Registered): Finding =>
  /LocalSystem/i.test(account)
    ? warn(
        'machine.service-account',
        'The agent runs as LocalSystem, which may do everything on this computer, and its engines with it.',
        'Give it an account of its own, if its engines can be started by one: install it again without -Account.',
      )
    : well('machine.service-account', `The service runs as ${account}.`);

const startFinding = ({ startsBySelf, recovery, recoversFromExit }: Registered): Finding => {
  const fix = 'Repair it, as administrator: lai-agent service install';
  if (!startsBySelf) return warn('machine.service', 'The service does not start with the computer.', fix);
  return recovery && recovery.restartsAfterMs.length > 0 && recoversFromExit
    ? well('machine.service', 'The service starts with the computer, and again after a failure.')
    : warn('machine.service', 'Windows does not start the service again after a failure.', fix);
};

const reporterFinding = (task: string): Finding => {
  if (task.includes('lai-desktop.ps1') && !/<Settings>[\s\S]*<Enabled>false<\/Enabled>[\s\S]*<\/Settings>/.test(task))
    return well('machine.desktop', 'The desktop tells the agent of programs in full screen.');
  return warn(
    'machine.desktop',
    'Services cannot see the desktop, and nothing tells the agent of it: games are recognised by their load on the GPU alone.',
    'If gaming mode misses games: enable the task LAIAgentDesktop, or repair it with lai-agent service install',
  );
};

/** Ollama's own app runs in its user's session and looks after a server of its own. `processes`: of `pgrep -fl` or `tasklist`. */
export const ollamaAppFinding = (processes: string, mode: 'auto' | 'adopt' | 'own'): Finding | null => {
  if (!/Ollama\.app\/Contents\/MacOS\/Ollama|ollama app\.exe/i.test(processes)) return null;
  return mode === 'own'
    ? warn(
        'engine.ollama-app',
        'Ollama’s own app runs beside the Ollama of the agent: it starts its server anew and ends servers of others on its port.',
        'Quit the app and take it out of the programs at log-in, or let the agent use its server: LAI_OLLAMA_MODE=adopt',
      )
    : well('engine.ollama-app', 'Ollama’s own app runs; the agent uses its server while somebody is logged in.');
};

/** The official installer puts Ollama into the profile of one user, which is closed to an account of its own. */
export const ollamaPlaceFinding = (program: string | null, registry: string): Finding | null => {
  const account = registry.includes('ImagePath') ? registeredIn(registry).account : '';
  if (program === null || !/^[a-z]:\\users\\/i.test(program) || !/^NT SERVICE\\/i.test(account)) return null;
  return warn(
    'engine.ollama-place',
    `Ollama is installed for one user (${program}); the service may not start it and uses it while that user is logged in.`,
    'To serve without anybody logged in: unpack Ollama’s zip for services into C:\\Program Files\\Ollama and add that to PATH.',
  );
};
