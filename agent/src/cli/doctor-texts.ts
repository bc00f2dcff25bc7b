import { type Finding, warn, well } from './finding.ts';

/** ` sleep                1 (sleep prevented by …)` in `pmset -g`: minutes until the machine sleeps, 0 for never. */
export const pmsetFinding = (text: string): Finding | null => {
  const minutes = /^\s*sleep\s+(\d+)/m.exec(text)?.[1];
  if (minutes === undefined) return null;
  return Number(minutes) === 0
    ? well('machine.sleep', 'This Mac does not fall asleep by itself.')
    : asleep(Number(minutes), 'sudo pmset -c sleep 0');
};

/** The plugged-in value is the second last index of `powercfg /query`, whatever the language: seconds until standby. */
export const powercfgFinding = (text: string): Finding | null => {
  const indexes = [...text.matchAll(/0x([0-9a-f]{8})\s*$/gim)].map(([, hex]) => Number.parseInt(hex ?? '0', 16));
  const seconds = indexes.at(-2);
  if (seconds === undefined) return null;
  return seconds === 0
    ? well('machine.sleep', 'This computer does not fall asleep by itself.')
    : asleep(Math.round(seconds / 60), 'powercfg /change standby-timeout-ac 0');
};

/** `sleep.target` masked, or logind told to do nothing when idle: the usual ways of a Linux that stays up. */
export const linuxSleepFinding = (facts: { sleepTarget: string; idleAction: string; canInhibit: boolean }): Finding => {
  if (facts.sleepTarget.trim() === 'masked') return well('machine.sleep', 'This machine cannot fall asleep.');
  if (/^(?:suspend|hibernate|hybrid-sleep|suspend-then-hibernate)$/.test(facts.idleAction.trim()))
    return warn(
      'machine.sleep',
      `logind sends this machine to sleep when it is idle (${facts.idleAction.trim()}).`,
      'Set IdleAction=ignore in /etc/systemd/logind.conf.',
    );
  if (!facts.canInhibit)
    return warn(
      'machine.sleep',
      'The agent cannot keep this machine awake while it answers requests.',
      'Install systemd-inhibit, or see that nothing suspends this machine.',
    );
  return well('machine.sleep', 'The agent can keep this machine awake while it answers requests.');
};

const asleep = (minutes: number, command: string): Finding =>
  warn(
    'machine.sleep',
    `This machine falls asleep after ${minutes} min; the fleet cannot use it then.`,
    `To keep it up while plugged in: ${command}`,
  );
