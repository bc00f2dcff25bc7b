import { readdirSync, writeFileSync } from 'node:fs';
import { arch, platform, release } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { gzipSync } from 'node:zlib';
import { ownControls } from '@lai/shared/terminal-text';
import type { Command } from 'commander';
import { VERSION } from '../../version.ts';
import { examine } from '../doctor/doctor.ts';
import { findingsPage } from '../doctor/finding.ts';
import { lastLines } from '../log-file.ts';
import { examples, withPlace } from '../options.ts';
import { type Place, placeOf } from '../place.ts';
import { fetchStatus } from '../status.ts';
import { redact } from './redact.ts';

const LOG_LINES = 1_000;

/** `lai bugreport` */
export const addBugreportCommand = (program: Command): void => {
  const command = withPlace(program.command('bugreport'))
    .description('one file for whoever looks for a fault: findings, fleet and logs, without secrets; shown before it is written')
    .argument('[file]', 'where to write it (default: lai-bugreport.txt.gz here)')
    .option('-y, --yes', 'write it without asking')
    .option('--show', 'show it, and write nothing')
    .action(async (file: string | undefined, flags) => {
      const text = await report(placeOf(flags, process.env));
      const path = file ?? 'lai-bugreport.txt.gz';
      if (flags.yes !== true) process.stdout.write(text);
      if (flags.show === true || (flags.yes !== true && !(await isAgreed(path)))) return;
      writeFileSync(path, gzipSync(text), { mode: 0o600 });
      process.stderr.write(`${path} is written. Nothing was sent anywhere; look at it with: zless ${path}\n`);
    });
  examples(command, 'lai bugreport', 'lai bugreport --yes ~/report.txt.gz', 'lai bugreport --show | less');
};

/** Nothing in it opens anything: see redact.ts. */
const report = async (place: Place): Promise<string> => {
  const { url, key, config } = place;
  const status = key === null ? null : await fetchStatus(url, key).catch((error: unknown) => String(error));
  const parts: [string, string][] = [
    ['versions', `lai ${VERSION}, Node ${process.versions.node}, ${platform()} ${release()} ${arch()}`],
    ['settings', JSON.stringify({ ...config, webhookSecret: undefined, payloadKey: undefined }, null, 2)],
    ['doctor', findingsPage(await examine(place))],
    ['fleet', JSON.stringify(status, null, 2)],
    ...logsOf(config.dataDir),
  ];
  return redact(parts.map(([name, text]) => `===== ${name}\n${text.trimEnd()}\n`).join('\n'));
};

const logsOf = (dataDir: string): [string, string][] => {
  try {
    return readdirSync(join(dataDir, 'logs'))
      .filter((name) => name.endsWith('.log'))
      .map((name) => [`log ${name}`, lastLines(join(dataDir, 'logs', name), LOG_LINES).lines.join('\n')]);
  } catch {
    return [];
  }
};

/** Without a terminal nobody agrees. */
const isAgreed = async (path: string): Promise<boolean> => {
  if (process.stdin.isTTY !== true) {
    process.stderr.write('Nothing is written without --yes.\n');
    return false;
  }
  const reader = createInterface({ input: process.stdin, output: ownControls(process.stderr) });
  const answer = await reader.question(`Write this to ${path}? [y/N] `).catch(() => '');
  reader.close();
  return /^y(es)?$/i.test(answer.trim());
};
