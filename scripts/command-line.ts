import { exit } from 'node:process';
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** What was typed after `--`; without leaving again, the usage for `--help` (status 0) or after one sentence for a mistake (status 2). */
export const optionsOr = <const Options extends NonNullable<ParseArgsConfig['options']>>(usage: string, options: Options) => {
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean' } } });
    if (!('help' in values)) return values as ReturnType<typeof parseArgs<{ options: Options }>>['values'];
    console.log(usage);
    return exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return exit(2);
  }
};
