import type { KeyView, Scope } from '@lai/shared/admin-api';
import type { Command } from 'commander';
import { administer } from './administer.ts';
import { placeOf } from './place.ts';
import { secondsOf, table, when } from './table.ts';

/** `lai keys …` */
export const addKeyCommands = (program: Command, withPlace: (command: Command) => Command): void => {
  const keys = program.command('keys').description('API keys: who may ask');
  const place = (flags: Record<string, unknown>) => placeOf(flags, process.env);

  withPlace(keys.command('create'))
    .argument('<name>', 'whose key it is, or for what')
    .option('--admin', 'may also manage the fleet')
    .option('--read-only', 'may look at the fleet, and nothing else')
    .option('--models <names>', 'only these models: names or beginnings with a star, separated by commas')
    .option('--expires <time>', 'valid for so long: 12h, 30d')
    .option('--json', 'as JSON')
    .action((name: string, flags) =>
      administer(place(flags), async (fleet) => {
        const issued = await fleet.createKey({
          name,
          scopes: flags.admin ? ['inference', 'admin', 'read'] : flags.readOnly ? ['read'] : ['inference'],
          models: flags.models ? namesOf(flags.models) : null,
          ...(flags.expires ? { expiresInSeconds: secondsOf(flags.expires) } : {}),
        });
        if (flags.json) console.log(JSON.stringify(issued, null, 2));
        else console.log(`${issued.key}\nThis is the only time it is shown.`);
      }),
    );

  withPlace(keys.command('list'))
    .option('--json', 'as JSON')
    .action((flags) =>
      administer(place(flags), async (fleet) => {
        const views = await fleet.listKeys();
        process.stdout.write(flags.json ? `${JSON.stringify(views, null, 2)}\n` : keyTable(views));
      }),
    );

  withPlace(keys.command('rotate'))
    .description('another secret for the same key')
    .argument('<id>', 'as `lai keys list` shows it')
    .option('--grace <time>', 'how long the old secret still works: 24h (default: not at all)')
    .action((id: string, flags) =>
      administer(place(flags), async (fleet) => {
        const { key } = await fleet.rotateKey(id, flags.grace ? { graceSeconds: secondsOf(flags.grace) } : {});
        console.log(`${key}\nThis is the only time it is shown.`);
      }),
    );

  withPlace(keys.command('change'))
    .argument('<id>', 'as `lai keys list` shows it')
    .option('--name <name>')
    .option('--scopes <scopes>', 'inference, read, admin; separated by commas')
    .option('--models <names>', 'names or beginnings with a star, separated by commas; "all" for every model')
    .option('--disable', 'may do nothing until it is enabled again')
    .option('--enable')
    .action((id: string, flags) =>
      administer(place(flags), async (fleet) => {
        const view = await fleet.changeKey(id, {
          ...(flags.name ? { name: flags.name } : {}),
          ...(flags.scopes ? { scopes: namesOf(flags.scopes) as Scope[] } : {}),
          ...(flags.models ? { models: flags.models === 'all' ? null : namesOf(flags.models) } : {}),
          ...(flags.disable || flags.enable ? { isEnabled: flags.enable === true } : {}),
        });
        process.stdout.write(keyTable([view]));
      }),
    );

  withPlace(keys.command('revoke'))
    .argument('<id>', 'as `lai keys list` shows it')
    .action((id: string, flags) =>
      administer(place(flags), async (fleet) => {
        await fleet.revokeKey(id);
        console.log(`${id} is revoked; whatever it was doing is being stopped.`);
      }),
    );
};

const namesOf = (list: string): string[] =>
  list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

const keyTable = (views: readonly KeyView[]): string =>
  table([
    ['ID', 'KEY', 'STATE', 'SCOPES', 'MODELS', 'EXPIRES', 'LAST USED', 'NAME'],
    ...views.map((view) => [
      view.id,
      `${view.prefix}…`,
      view.state,
      view.scopes.join(','),
      view.models?.join(',') ?? 'all',
      when(view.expiresAtMs),
      when(view.lastUsedAtMs),
      view.name,
    ]),
  ]);
