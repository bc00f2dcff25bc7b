import type { Gpu } from '@lai/shared/node';
import { readAmdCards } from './amd-files.ts';
import { type AmdStatic, parseAmdMetric, parseAmdProcesses, parseAmdStatic } from './amd-smi-json.ts';
import { amdGpus, isAmdCard } from './amd-sysfs.ts';
import type { CommandOutcome } from './command.ts';
import type { GpuProbe, GpuProcess, ProbeEnv } from './gpu-probe.ts';
import { GpuReadings } from './gpu-readings.ts';
import { startPoll } from './poll.ts';
import { remembered } from './remembered.ts';

/** amd-smi is a Python program that takes about a second of processor time; the files are free. */
const TOOL_EVERY_MS = 10_000;

/**
 * AMD on Linux: files of the kernel driver for values, and `amd-smi`, where it is installed, for names and processes. Without
 * readable files (containers) amd-smi gives the values too. Windows and macOS have neither, and get the honest "none".
 */
export async function startAmdProbe(env: ProbeEnv): Promise<GpuProbe | null> {
  if (env.platform !== 'linux') return null;
  const closing = new AbortController();
  const { timing } = env;
  const tool = async (report: string): Promise<ToolAnswer> => {
    const { processesDeadlineMs: deadlineMs } = timing;
    const searchPath = `${env.environment['PATH'] ?? ''}:/opt/rocm/bin`;
    const args = [report, '--json'];
    return toolAnswer(await env.runCommand({ file: 'amd-smi', args, deadlineMs, signal: closing.signal, searchPath }));
  };

  const hasFiles = (await readAmdCards(env.sysfsRoot)).some(isAmdCard);
  /** Written by `learnNames` alone; nobody waits for names where the files give the values. */
  const known: { facts: AmdStatic | null; complaint: string | null } = { facts: null, complaint: null };
  const learnNames = async (): Promise<ToolAnswer> => {
    const answer = await tool('static');
    const { value, complaint } = parseAmdStatic(answer.output);
    known.facts = value ?? known.facts;
    known.complaint = answer.isMissing ? null : (answer.complaint ?? complaint);
    return answer;
  };
  const naming = learnNames();
  // A program that is there and cannot be read is a trouble to be told, not the absence of a GPU.
  if (!hasFiles && ((await naming).isMissing || (known.facts?.busByIndex.size === 0 && known.complaint === null))) return null;

  const readings = new GpuReadings({
    staleAfterMs: hasFiles ? timing.staleAfterMs : Math.max(timing.staleAfterMs, 3 * TOOL_EVERY_MS),
  });
  const sampleFiles = async (): Promise<void> => {
    readings.putAll(amdGpus(await readAmdCards(env.sysfsRoot), known.facts?.names));
  };
  const sampleTool = async (): Promise<void> => {
    // Later, a card that was read under its number already would come back under its bus address.
    if (known.facts === null && readings.read().length === 0) await learnNames();
    const answer = await tool('metric');
    const { value, complaint } = parseAmdMetric(answer.output, known.facts);
    if (value === null) throw new Error(answer.complaint ?? complaint ?? 'amd-smi metric gave no reading.');
    readings.putAll(value);
    known.complaint = answer.complaint ?? complaint;
  };
  const sample = hasFiles ? sampleFiles : sampleTool;
  let outage: string | null = null;
  const onTrouble = (reason: string | null): void => {
    outage = reason;
  };
  await sample().then(
    () => onTrouble(null),
    (error: Error) => onTrouble(error.message),
  );
  const poll = startPoll({
    sample,
    everyMs: hasFiles ? timing.sampleEveryMs : Math.max(timing.sampleEveryMs, TOOL_EVERY_MS),
    deadlineMs: timing.processesDeadlineMs,
    onTrouble,
  });
  const processes = remembered<readonly GpuProcess[] | null>({
    ask: async () => parseAmdProcesses((await tool('process')).output, known.facts).value,
    isGood: (list) => list !== null,
    keepMs: timing.processesCacheMs,
  });

  return {
    vendor: 'amd',
    read: () => readings.read(),
    onChange: (listener) => readings.onChange(listener),
    processes,
    trouble: () => outage ?? lostCards(readings.read()) ?? known.complaint,
    close: async () => {
      readings.close();
      closing.abort();
      await Promise.all([poll.close(), naming]);
    },
  };
}

type ToolAnswer = { output: string; isMissing: boolean; complaint: string | null };

/** Output counts whatever the exit status: amd-smi has ended with errors after good reports. */
const toolAnswer = (outcome: CommandOutcome): ToolAnswer => {
  if (outcome.kind === 'missing') return { output: '', isMissing: true, complaint: null };
  if (outcome.kind === 'unfinished')
    return { output: '', isMissing: false, complaint: `amd-smi did not end: ${outcome.reason}.` };
  const { stdout, stderr, exitCode } = outcome;
  const words = stderr
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, 300);
  return {
    output: stdout,
    isMissing: false,
    complaint: exitCode === 0 ? null : `amd-smi failed (${exitCode}): ${words || 'no word why'}.`,
  };
};

const lostCards = (gpus: readonly Gpu[]): string | null => {
  const names = gpus.filter((gpu) => gpu.isLost).map((gpu) => gpu.name);
  return names.length === 0 ? null : `The driver does not show ${names.join(', ')} any more. Restart the machine to get it back.`;
};
