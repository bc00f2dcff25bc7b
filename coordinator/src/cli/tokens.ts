import type { TokenView } from '@lai/shared/admin-api';
import type { Command } from 'commander';
import { administer } from './administer.ts';
import { wholeNumber } from './options.ts';
import { placeOf } from './place.ts';
import { secondsOf, table, when } from './table.ts';

/** `lai tokens …` */
export const addTokenCommands = (program: Command, withPlace: (command: Command) => Command): void => {
  const tokens = program.command('tokens').description('registration tokens: which machines may join');
  const place = (flags: Record<string, unknown>) => placeOf(flags, process.env);

  withPlace(tokens.command('create'))
    .description('a token that lets one machine join within an hour')
    .option('--label <text>', 'what it is for')
    .option('--ttl <time>', 'valid for so long: 30m, 12h, 7d (default 1h; more than a day needs approval)')
    .option('--uses <n>', 'how many machines may join with it, up to 50 (more than one needs approval)', wholeNumber(1, 50))
    .option('--approve', 'who joins with it must be approved first')
    .option('--group <name>', 'group that the machine becomes part of')
    .option('--join', 'print the whole command for the machine that joins')
    .option('--json', 'as JSON')
    .action((flags) => {
      const here = place(flags);
      return administer(here, async (fleet) => {
        const issued = await fleet.createToken({
          ...(flags.label ? { label: flags.label } : {}),
          ...(flags.ttl ? { ttlSeconds: secondsOf(flags.ttl) } : {}),
          ...(flags.uses === undefined ? {} : { maxUses: flags.uses }),
          ...(flags.group ? { group: flags.group } : {}),
          needsApproval: flags.approve === true,
        });
        if (flags.json) console.log(JSON.stringify(issued, null, 2));
        else if (flags.join) console.log(`LAI_TOKEN=${issued.token} lai-agent join --url ${here.url}`);
        else console.log(issued.token);
        if (process.stdout.isTTY && !flags.json) process.stderr.write(hint(issued.view));
      });
    });

  withPlace(tokens.command('list'))
    .option('--json', 'as JSON')
    .action((flags) =>
      administer(place(flags), async (fleet) => {
        const views = await fleet.listTokens();
        process.stdout.write(flags.json ? `${JSON.stringify(views, null, 2)}\n` : tokenTable(views));
      }),
    );

  withPlace(tokens.command('revoke'))
    .argument('<id>', 'as `lai tokens list` shows it')
    .action((id: string, flags) =>
      administer(place(flags), async (fleet) => {
        await fleet.revokeToken(id);
        console.log(`${id} is revoked.`);
      }),
    );
};

const hint = (view: TokenView): string =>
  [
    `\nThis is the only time it is shown. It lets ${view.maxUses === 1 ? 'one machine' : `${view.maxUses} machines`} in until ${when(view.expiresAtMs)}.`,
    ...(view.needsApproval ? ['Each of them waits for `lai nodes approve`.'] : []),
    '',
  ].join('\n');

const tokenTable = (views: readonly TokenView[]): string =>
  table([
    ['ID', 'STATE', 'USES', 'APPROVAL', 'GROUP', 'EXPIRES', 'MADE BY', 'LABEL'],
    ...views.map((view) => [
      view.id,
      view.refusedUses > 0 ? `${view.state} (shown ${view.refusedUses}x too late)` : view.state,
      `${view.maxUses - view.usesLeft}/${view.maxUses}`,
      view.needsApproval ? 'needed' : '-',
      view.group,
      when(view.expiresAtMs),
      view.createdBy,
      view.label,
    ]),
  ]);
