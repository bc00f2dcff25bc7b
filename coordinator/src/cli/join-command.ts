import { styleText } from 'node:util';
import { UsageError } from '@lai/shared/command-failure';
import { JOIN_SYSTEMS, type JoinCommand, type NewJoinCommand } from '@lai/shared/release-api';
import type { Command } from 'commander';
import { askJoinCommand } from './ask-join-command.ts';
import { wholeNumber } from './options.ts';
import { keyedPlace } from './place.ts';
import { secondsOf, when } from './table.ts';

/** `lai join-command`: the line to paste on a machine. Only a running coordinator can say it, because the machine installs from there. */
export const addJoinCommand = (program: Command, withPlace: (command: Command) => Command): void => {
  withPlace(program.command('join-command'))
    .description('the line to paste on a machine that is to join: installs the agent as a service and enrolls it')
    .requiredOption('--os <system>', JOIN_SYSTEMS.join(', '))
    .option('--url <url>', 'how the machine reaches the coordinator (default: LAI_PUBLIC_URL, else as this command does)')
    .option('--insecure', 'the address is http, and the network in between is trusted')
    .option('--user', 'for whoever pastes it, without rights over the machine')
    .option('--dry-run', 'a line that only says what it would do; makes no token')
    .option('--ttl <time>', 'the token is valid for so long: 30m, 12h, 7d (default 1h; more than a day needs approval)')
    .option('--uses <n>', 'how many machines may join with it, up to 50 (more than one needs approval)', wholeNumber(1, 50))
    .option('--approve', 'who joins with it must be approved first')
    .option('--group <name>', 'group that the machine becomes part of')
    .option('--label <text>', 'what the token is for')
    .option('--json', 'as JSON')
    .action(async (flags) => {
      const os = JOIN_SYSTEMS.find((known) => known === flags.os);
      if (!os) throw new UsageError(`There is no system "${flags.os}": ${JOIN_SYSTEMS.join(', ')}.`);
      const wish: NewJoinCommand = {
        ...{ os, isForUser: flags.user === true, isDryRun: flags.dryRun === true, needsApproval: flags.approve === true },
        ...(flags.url ? { url: flags.url } : {}),
        ...(flags.insecure ? { isInsecure: true } : {}),
        ...(flags.label ? { label: flags.label } : {}),
        ...(flags.ttl ? { ttlSeconds: secondsOf(flags.ttl) } : {}),
        ...(flags.uses === undefined ? {} : { maxUses: flags.uses }),
        ...(flags.group ? { group: flags.group } : {}),
      };
      const made = await askJoinCommand(keyedPlace(flags), wish, (step) => process.stderr.write(`lai: ${step}\n`));
      if (flags.json) return console.log(JSON.stringify(made, null, 2));
      for (const warning of made.warnings) process.stderr.write(`${styleText('yellow', warning, { stream: process.stderr })}\n`);
      console.log(made.command);
      if (process.stdout.isTTY) process.stderr.write(hint(made));
    });
};

const hint = ({ os, token }: JoinCommand): string => {
  const where = os === 'windows' ? 'In PowerShell as administrator. ' : '';
  if (token === null) return `\n${where}It changes nothing.\n`;
  const machines = token.maxUses === 1 ? 'one machine' : `${token.maxUses} machines`;
  const approval = token.needsApproval ? ' Each of them waits for `lai nodes approve`.' : '';
  return `\n${where}It lets ${machines} in until ${when(token.expiresAtMs)}, and is shown this once.${approval}\n`;
};
