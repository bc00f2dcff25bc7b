import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { UserView } from '@lai/shared/admin-api';
import { UsageError } from '@lai/shared/command-failure';
import type { Command } from 'commander';
import type { Administration } from '../access/administration.ts';
import { administer } from './administer.ts';
import { placeOf } from './place.ts';
import { table, when } from './table.ts';

/** `lai users …`: also the way back in for somebody who has forgotten the password. */
export const addUserCommands = (program: Command, withPlace: (command: Command) => Command): void => {
  const users = program.command('users').description('people: who may sign in');
  const place = (flags: Record<string, unknown>) => placeOf(flags, process.env);

  withPlace(users.command('create'))
    .description('asks for a password; makes one when none is given')
    .argument('<name>', 'small letters, digits, dot, underscore, at and dash')
    .option('--admin', 'manages the fleet; without it, may only look')
    .action(async (name: string, flags) => {
      const { password, isOurs } = await newPassword();
      await administer(place(flags), async (fleet) => {
        process.stdout.write(userTable([await fleet.createUser({ name, password, role: flags.admin ? 'admin' : 'viewer' })]));
      });
      if (isOurs) tellPassword(password);
    });

  withPlace(users.command('list'))
    .option('--json', 'as JSON')
    .action((flags) =>
      administer(place(flags), async (fleet) => {
        const views = await fleet.listUsers();
        process.stdout.write(flags.json ? `${JSON.stringify(views, null, 2)}\n` : userTable(views));
      }),
    );

  withPlace(users.command('password'))
    .description('another password; ends all sessions of this person')
    .argument('<name>')
    .action(async (name: string, flags) => {
      const { password, isOurs } = await newPassword();
      await administer(place(flags), async (fleet) => fleet.changeUser(await idOf(fleet, name), { password }));
      console.log(`${name} has another password; whoever was signed in as ${name} is not any more.`);
      if (isOurs) tellPassword(password);
    });

  for (const [command, isEnabled, description] of [
    ['disable', false, 'may not sign in until enabled again; ends all sessions of this person'],
    ['enable', true, 'may sign in again'],
  ] as const)
    withPlace(users.command(command))
      .description(description)
      .argument('<name>')
      .action((name: string, flags) =>
        administer(place(flags), async (fleet) => {
          process.stdout.write(userTable([await fleet.changeUser(await idOf(fleet, name), { isEnabled })]));
        }),
      );

  withPlace(users.command('role'))
    .argument('<name>')
    .argument('<role>', 'admin (manages) or viewer (looks)')
    .action((name: string, role: string, flags) =>
      administer(place(flags), async (fleet) => {
        if (role !== 'admin' && role !== 'viewer') throw new UsageError(`There is no role ${role}: admin or viewer.`);
        process.stdout.write(userTable([await fleet.changeUser(await idOf(fleet, name), { role })]));
      }),
    );

  withPlace(users.command('remove'))
    .argument('<name>')
    .action((name: string, flags) =>
      administer(place(flags), async (fleet) => {
        await fleet.removeUser(await idOf(fleet, name));
        console.log(`${name} is removed, and with ${name} all sessions.`);
      }),
    );
};

/** People are called by name; the API knows them by id. */
const idOf = async (fleet: Administration, name: string): Promise<string> => {
  const user = (await fleet.listUsers()).find((candidate) => candidate.name === name || candidate.id === name);
  if (!user) throw new Error(`There is no user ${name}.`);
  return user.id;
};

/** Typed unseen, twice; or the first line of what is piped in. Never an argument: everybody on the machine could read those. */
const newPassword = async (): Promise<{ password: string; isOurs: boolean }> => {
  const isPerson = process.stdin.isTTY === true;
  const [typed = '', again] = await linesTyped(isPerson ? ['Password (none: one is made): ', 'Once more: '] : ['']);
  if (isPerson && typed !== again) throw new UsageError('These were two different passwords.');
  return typed === '' ? { password: randomBytes(12).toString('base64url'), isOurs: true } : { password: typed, isOurs: false };
};

const linesTyped = async (prompts: readonly string[]): Promise<string[]> => {
  const unseen = new Writable({ write: (_piece, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: unseen, terminal: process.stdin.isTTY === true });
  reader.once('SIGINT', () => process.exit(130));
  const lines: string[] = [];
  try {
    const typed = reader[Symbol.asyncIterator]();
    for (const prompt of prompts) {
      process.stderr.write(prompt);
      const { value, done } = await typed.next();
      if (prompt !== '') process.stderr.write('\n');
      if (done === true) break;
      lines.push(value);
    }
    return lines;
  } finally {
    reader.close();
  }
};

const tellPassword = (password: string): void => console.log(`Password: ${password}\nThis is the only time it is shown.`);

const userTable = (views: readonly UserView[]): string =>
  table([
    ['NAME', 'ROLE', 'STATE', 'CREATED', 'LAST SIGN-IN', 'ID'],
    ...views.map((view) => [
      view.name,
      view.role,
      view.isEnabled ? 'enabled' : 'disabled',
      when(view.createdAtMs),
      when(view.lastSignInAtMs),
      view.id,
    ]),
  ]);
