import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@lai/shared/command-failure';
import type { Command } from 'commander';
import { followFile, lastLines } from './log-file.ts';
import { examples, wholeNumber, withPlace } from './options.ts';
import { placeOf } from './place.ts';

const MOST_LINES = 10_000;

/** `lai logs`: what `npm start` and `lai up` write into files; of a service the system keeps the log. */
export const addLogsCommand = (program: Command): void => {
  const command = withPlace(program.command('logs'))
    .description('what the coordinator on this machine said, or the agent that it started')
    .option('-f, --follow', 'go on as it is written')
    .option('-n, --lines <n>', 'how many lines', wholeNumber(0, MOST_LINES), 50)
    .option('--node <name>', 'of the agent with this name that runs beside it')
    .action(async (flags) => {
      const { dataDir } = placeOf(flags, process.env).config;
      const path = logOf(dataDir, flags.node);
      const { lines, endBytes } = lastLines(path, flags.lines);
      if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
      if (!flags.follow) return;
      const leaving = new AbortController();
      process.once('SIGINT', () => leaving.abort());
      for await (const text of followFile(path, endBytes, leaving.signal)) process.stdout.write(text);
    });
  examples(command, 'lai logs -f', 'lai logs -n 200 --node desk');
};

const logOf = (dataDir: string, node: string | undefined): string => {
  if (node !== undefined && !/^[A-Za-z0-9._-]{1,64}$/.test(node)) throw new UsageError(`"${node}" is no name of a node.`);
  const path = join(dataDir, 'logs', node === undefined ? 'coordinator.log' : `agent-${node}.log`);
  if (existsSync(path)) return path;
  throw new Error(
    node === undefined
      ? `The coordinator of ${dataDir} keeps no log file. As a service: journalctl -u lai-coordinator; in a container: docker compose logs lai`
      : `No agent ${node} of this machine's coordinator keeps its log in ${dataDir}. On the machine ${node}: lai-agent logs -f`,
  );
};
