import { type Command, InvalidArgumentError } from 'commander';
import { secondsOf } from './table.ts';

/** Options that several commands share, and readers of their values: what is wrong is told with the option's name, exit code 2. */

/** Where the coordinator of this machine keeps its data, for every command that talks to it. */
export const withPlace = (command: Command): Command =>
  command.option('--data-dir <dir>', 'data directory of the coordinator here (default: of the one that runs)');

/** A coordinator's own settings, for what starts one. */
export const withSettings = (command: Command): Command =>
  command
    .option('--data-dir <dir>', 'where keys, nodes and logs are kept')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1, this machine only)')
    .option('--port <port>', 'port to listen on (default: 5240)')
    .option('--database-url <url>', 'a PostgreSQL, or another SQLite file (default: a file in the data directory)')
    .option('--redis-url <url>', 'an existing Redis instead of a private one')
    .option('--log-level <level>', 'fatal to trace');

/** The database itself, for what works without a coordinator. */
export const withDatabase = (command: Command): Command =>
  withPlace(command).option(
    '--database-url <url>',
    'a PostgreSQL, or another SQLite file (default: a file in the data directory)',
  );

export const withJson = (command: Command): Command => command.option('--json', 'as JSON, for programs');

export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Use a whole number from ${least} to ${most}.`);
  };

/** `90s`, `30m`, `12h`, `7d` as seconds. */
export const seconds = (text: string): number => {
  try {
    return secondsOf(text);
  } catch {
    throw new InvalidArgumentError('Use 90s, 30m, 12h or 7d.');
  }
};

/** Lines below the options: what people type. */
export const examples = (command: Command, ...lines: readonly string[]): Command =>
  command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`);
