import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@lai/shared/command-failure';
import type { Command } from 'commander';
import { readConfig } from '../config.ts';
import { PROVIDERS_FILE, ROUTING_FILE, readHousehold } from '../configuration/configuration.ts';
import { jsonSchemaOf, schemaNames } from '../configuration/json-schema.ts';
import { problemLine } from '../configuration/read-file.ts';
import { examples, withJson, withPlace } from './options.ts';

/** What the files say can be checked without a coordinator: before they are put in place, too. */
export const addConfigCommands = (program: Command): void => {
  const config = program.command('config').description(`check ${ROUTING_FILE} and ${PROVIDERS_FILE}`);
  examples(
    withJson(withPlace(config.command('check')))
      .description('say what is wrong in the files, with file, line, column and what to write instead')
      .argument('[folder]', 'where the files are (default: the configuration directory of the coordinator here)')
      .action(async (folder: string | undefined, flags: { json?: boolean; dataDir?: string }) => {
        const where = folder ?? readConfig(flags.dataDir === undefined ? {} : { dataDir: flags.dataDir }, process.env).configDir;
        await check(where, flags.json === true);
      }),
    'lai config check',
    'lai config check ~/new-rules --json',
  );
  config
    .command('schema')
    .description('print the JSON Schema of a file, for editors')
    .argument('<file>', 'routing or providers')
    .action((name: string) => {
      const schema = jsonSchemaOf(name);
      if (!schema) throw new UsageError(`There is no schema "${name}". Ask for ${schemaNames.join(' or ')}.`);
      process.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
    });
};

const check = async (folder: string, asJson: boolean): Promise<void> => {
  const found = [ROUTING_FILE, PROVIDERS_FILE].filter((name) => existsSync(join(folder, name)));
  if (found.length === 0) throw new UsageError(`There is neither ${ROUTING_FILE} nor ${PROVIDERS_FILE} in ${folder}.`);
  const reading = await readHousehold(folder, process.env);
  const problems = reading.kind === 'refused' ? reading.problems : [];
  if (asJson) process.stdout.write(`${JSON.stringify({ folder, files: found, problems }, null, 2)}\n`);
  else if (problems.length === 0) process.stdout.write(`${found.join(' and ')} in ${folder} can be used.\n`);
  else process.stdout.write(`${problems.map(problemLine).join('\n')}\n`);
  process.exitCode = problems.length > 0 ? 1 : 0;
};
