import { styleText } from 'node:util';
import { escapedTexts } from '@lai/shared/terminal-text';
import type { Command } from 'commander';
import { administer } from './administer.ts';
import { wholeNumber } from './options.ts';
import { placeOf } from './place.ts';
import { table, when } from './table.ts';

/** `lai audit …` */
export const addAuditCommands = (program: Command, withPlace: (command: Command) => Command): void => {
  const audit = withPlace(program.command('audit'))
    .description('what operators did: who, what, when, from where')
    .option('--limit <n>', 'entries to show, newest last', wholeNumber(1, 1_000), 50)
    .option('--json', 'as JSON')
    .action((flags) =>
      administer(placeOf(flags, process.env), async (fleet) => {
        const entries = (await fleet.listAudit({ limit: flags.limit })).reverse();
        if (flags.json) return void process.stdout.write(`${JSON.stringify(entries, null, 2)}\n`);
        const rows = escapedTexts(entries).map((entry) => [
          String(entry.seq),
          when(entry.atMs),
          entry.action,
          entry.object,
          `by ${entry.actor}`,
          `from ${entry.origin}`,
          JSON.stringify(entry.detail),
        ]);
        process.stdout.write(table(rows));
      }),
    );

  withPlace(audit.command('verify'))
    .description('check that no entry was changed or taken out')
    .option('--expect <hash>', 'a head that was noted earlier: checks that nothing was cut off behind it')
    .action((flags) =>
      administer(placeOf(flags, process.env), async (fleet) => {
        const verdict = await fleet.verifyAudit(flags.expect);
        if (!verdict.isIntact) throw new Error(`The audit log is NOT intact: ${verdict.problem}.`);
        console.log(`${styleText('green', 'intact')}: ${verdict.entries} entries, head ${verdict.head}`);
      }),
    );
};
