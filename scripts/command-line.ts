import { argv, exit } from 'node:process';
import { type ParseArgsConfig, parseArgs } from 'node:util';

/**
 * What `read` makes of what was typed after `--`; without leaving again, the usage for `--help` (status 0) or after the sentence that
 * `read` throws for a mistake (status 2).
 */
export const readOrExplain = <T>(usage: string, read: (args: readonly string[]) => T): T => {
  const args = argv.slice(2);
  if (args.includes('--help')) {
    console.log(usage);
    return exit(0);
  }
  try {
    return read(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return exit(2);
  }
};

/** The same, where nothing but Node's own reading is needed. */
export const optionsOr = <const Options extends NonNullable<ParseArgsConfig['options']>>(usage: string, options: Options) =>
  readOrExplain(usage, (args) => parseArgs({ args: [...args], options }).values);
