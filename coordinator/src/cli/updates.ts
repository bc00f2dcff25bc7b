import { styleText } from 'node:util';
import type { NewRollout, Rollout, UpdateStatus } from '@lai/shared/release-api';
import { escapedTexts } from '@lai/shared/terminal-text';
import type { Command } from 'commander';
import { wholeNumber } from './options.ts';
import { keyedPlace } from './place.ts';
import { adminCall } from './remote-administration.ts';
import { table, when } from './table.ts';

/** `lai updates …` */
export const addUpdateCommands = (program: Command, withPlace: (command: Command) => Command): void => {
  const updates = program.command('updates').description('newer versions of the agent, brought to every node, one first');

  withPlace(updates.command('status'))
    .description('which releases are here, which node has which, and how the rollout stands')
    .option('--json', 'as JSON')
    .action(async (flags) => {
      const status = await adminCall(keyedPlace(flags))('GET /api/v1/updates');
      process.stdout.write(flags.json ? `${JSON.stringify(status, null, 2)}\n` : statusText(status));
    });

  withPlace(updates.command('start'))
    .description('update every node: one first, the others when that one has proved it; stops at the first that fails')
    .option('--version <version>', 'another one than the newest')
    .option('--force', 'also back to an older version, or to one that was taken back somewhere')
    .option('--first <node>', 'who goes first (default: who would be missed least)')
    .option('--parallel <n>', 'how many at once after the first', wholeNumber(1, 50))
    .option('--json', 'as JSON')
    .action(async (flags) => {
      const wish: NewRollout = {
        isForced: flags.force === true,
        ...(flags.version ? { version: flags.version } : {}),
        ...(flags.first ? { first: flags.first } : {}),
        ...(flags.parallel === undefined ? {} : { parallel: flags.parallel }),
      };
      const rollout = await adminCall(keyedPlace(flags))('POST /api/v1/updates', { body: wish });
      process.stdout.write(flags.json ? `${JSON.stringify(rollout, null, 2)}\n` : rolloutText(rollout));
    });

  withPlace(updates.command('stop'))
    .description('tell no further node; what is at it finishes')
    .option('--json', 'as JSON')
    .action(async (flags) => {
      const rollout = await adminCall(keyedPlace(flags))('DELETE /api/v1/updates');
      process.stdout.write(flags.json ? `${JSON.stringify(rollout, null, 2)}\n` : rolloutText(rollout));
    });
};

const statusText = (said: UpdateStatus): string => {
  const { releasesDir, releases, problems, rollout, nodes } = escapedTexts(said);
  const shelf = releases.map(
    ({ version, platforms, isLatest }) => `${version}${isLatest ? ' (newest)' : ''}: ${platforms.join(', ')}`,
  );
  const lines = [
    `Releases in ${releasesDir}:${releases.length === 0 ? ' none; docs/releases.md says how to make or fetch one' : ''}`,
    ...shelf.map((line) => `  ${line}`),
    ...problems.map((problem) => styleText('red', `  not offered: ${problem}`)),
    '',
  ];
  const rows = nodes.map(({ name, version, liveness, update }) => [name, version, liveness, updateWords(update)]);
  const fleet = rows.length === 0 ? 'No node has connected yet.\n' : table([['NODE', 'VERSION', 'LIVENESS', 'UPDATE'], ...rows]);
  return `${lines.join('\n')}\n${fleet}${rollout ? `\n${rolloutText(rollout)}` : ''}`;
};

const updateWords = (update: UpdateStatus['nodes'][number]['update']): string => {
  if (!update) return 'not by itself';
  if (!update.isAllowed) return 'forbidden by its owner';
  return update.state === 'none' ? '-' : [update.state, update.version, update.detail].filter((word) => word !== null).join(' ');
};

const COLOURS = { running: 'yellow', done: 'green', stopped: 'red' } as const;

const rolloutText = (said: Rollout): string => {
  const { version, state, reason, startedBy, startedAtMs, nodes } = escapedTexts(said);
  const head = `Rollout of ${version}, begun ${when(startedAtMs)} by ${startedBy}: ${styleText(COLOURS[state], state)}${reason ? `, ${reason}` : ''}\n`;
  return head + table(nodes.map((node) => [`  ${node.name}`, node.state, node.from ?? '', node.detail ?? '']));
};
