import { join } from 'node:path';
import { UsageError } from '@lai/shared/command-failure';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { parseDurationMs } from '../availability/duration.ts';
import type { AgentConfig } from '../config.ts';
import { LOCAL_VERSION, LocalStatus } from '../local/local-status.ts';
import { agentHere } from './agent-here.ts';
import { answered, askAgent, askStatus } from './ask-agent.ts';
import { examine, exitCodeOf, findingsPage } from './doctor.ts';
import { followLog, lastLines } from './follow-log.ts';
import { modelsTable, statusPage } from './status-page.ts';

export interface CliEnv {
  readonly environment: NodeJS.ProcessEnv;
  print(text: string): void;
  /** The code that the process ends with when the command is done. */
  exitWith(code: 0 | 1): void;
}

/** Everything that talks to a running agent, or examines the machine without one. Each command takes `--json`, versioned. */
export const addLocalCommands = (
  program: Command,
  { withPlace, withEngines }: Record<'withPlace' | 'withEngines', (command: Command) => Command>,
  env: CliEnv,
): void => {
  const config = (flags: Record<string, unknown>): AgentConfig => agentHere(flags, env.environment);
  const say = (flags: { json?: boolean }, value: object, page: string) =>
    env.print(flags.json ? JSON.stringify({ version: LOCAL_VERSION, ...value }, null, 2) : page);

  withPlace(program.command('status'))
    .description('what this machine does for the fleet right now')
    .option('--json', 'for programs')
    .action(async (flags) => {
      const status = await askStatus(config(flags).dataDir);
      say(flags, status, statusPage(status, Date.now()));
    });

  withPlace(program.command('models'))
    .description('the models on this machine and their state')
    .option('--json', 'for programs')
    .action(async (flags) => {
      const { models } = (await askStatus(config(flags).dataDir)).snapshot;
      say(flags, { models }, models.length === 0 ? 'There are no models yet: lai-agent pull <model>' : modelsTable(models));
    });

  withPlace(program.command('pull <model>'))
    .description('download a model; Ctrl-C stops, and the next pull goes on there')
    .option('--json', 'for programs: a line per piece of news')
    .action(async (model: string, flags) => {
      const progress = new PullProgress(model, env);
      const asked = await askAgent(config(flags).dataDir, {
        method: 'POST',
        path: '/pull',
        body: { model },
        onLine: (line) => (flags.json ? env.print(JSON.stringify(line)) : progress.show(line)),
      });
      answered(asked);
      if (progress.problem !== null) throw new Error(progress.problem);
    });

  withPlace(program.command('gaming <mode>'))
    .description('on, off, auto, or status')
    .option('--for <time>', 'for how long: 90s, 30m, 2h, 1d', duration)
    .option('--json', 'for programs')
    .action(async (mode: string, flags) => {
      if (!['on', 'off', 'auto', 'status'].includes(mode))
        throw new UsageError(`There is no gaming mode "${mode}": on, off, auto or status.`);
      const { dataDir } = config(flags);
      const status =
        mode === 'status'
          ? await askStatus(dataDir)
          : LocalStatus.parse(
              answered(
                await askAgent(dataDir, {
                  method: 'POST',
                  path: '/gaming-mode',
                  body: { mode, ...(flags.for === undefined ? {} : { for: flags.for }) },
                }),
              ),
            );
      const { gaming, preemption } = status.snapshot;
      const page = statusPage(status, Date.now())
        .split('\n')
        .filter((line) => /^(?:gaming|freeing|held)/.test(line));
      say(flags, { gaming, preemption }, page.join('\n'));
    });

  withPlace(program.command('drain'))
    .description('finish what runs and take nothing new, until it is taken back')
    .option('--off', 'take work again')
    .option('--json', 'for programs')
    .action(async (flags) => {
      const asked = await askAgent(config(flags).dataDir, {
        method: 'POST',
        path: '/drain',
        body: { isDraining: flags.off !== true },
      });
      const status = LocalStatus.parse(answered(asked));
      const { holds, inFlight } = status.snapshot;
      const page = holds.some(({ kind }) => kind === 'draining') ? `Draining: ${inFlight} still running.` : 'Taking work.';
      say(flags, { holds, inFlight }, page);
    });

  withPlace(program.command('stop-all'))
    .description('end what runs and unload every model, now')
    .option('--json', 'for programs')
    .action(async (flags) => {
      const status = LocalStatus.parse(answered(await askAgent(config(flags).dataDir, { method: 'POST', path: '/stop-all' })));
      say(
        flags,
        { preemption: status.snapshot.preemption },
        'Everything is being stopped: lai-agent status tells how far it is.',
      );
    });

  withPlace(program.command('logs [engine]'))
    .description('what the agent said, or one of its engines')
    .option('-f, --follow', 'go on as it is written')
    .option('-n, --lines <n>', 'how many lines', '50')
    .action(async (engine: string | undefined, flags) => {
      const name = engine ?? 'agent';
      const lines = Number(flags.lines);
      if (!/^[a-z0-9-]+$/.test(name) || !Number.isInteger(lines) || lines < 0)
        throw new UsageError('Use: logs [engine] [-n <lines>] [-f]');
      const path = join(config(flags).dataDir, 'logs', `${name}.log`);
      const last = lastLines(path, lines);
      if (last.lines.length > 0) env.print(last.lines.join('\n'));
      else if (!flags.follow) throw new Error(`There is nothing in ${path}.`);
      if (!flags.follow) return;
      const leaving = new AbortController();
      process.once('SIGINT', () => leaving.abort());
      for await (const text of followLog(path, last.endBytes, leaving.signal)) env.print(text.replace(/\n$/, ''));
    });

  withEngines(program.command('doctor'))
    .description('examine everything that keeps a machine from serving, with a fix for each')
    .option('--url <url>', 'the coordinator, if this machine has not joined yet')
    .option('--json', 'for programs')
    .action(async (flags) => {
      const findings = await examine(config(flags), { platform: process.platform, environment: env.environment });
      const code = exitCodeOf(findings);
      say(flags, { isHealthy: code === 0, findings }, findingsPage(findings));
      env.exitWith(code);
    });
};

const duration = (text: string): string => {
  if (parseDurationMs(text) === null) throw new InvalidArgumentError('Use 90s, 30m, 2h or 1d.');
  return text;
};

class PullProgress {
  problem: string | null = null;
  readonly #model: string;
  readonly #env: CliEnv;
  #last = '';

  constructor(model: string, env: CliEnv) {
    this.#model = model;
    this.#env = env;
  }

  show(line: unknown): void {
    const { error, stage, completedBytes, totalBytes, isDone } = line as {
      error?: string;
      stage?: string;
      completedBytes?: number | null;
      totalBytes?: number | null;
      isDone?: boolean;
    };
    if (error !== undefined) {
      this.problem = error;
      return;
    }
    const share = totalBytes
      ? ` ${Math.floor(((completedBytes ?? 0) / totalBytes) * 100)} % of ${(totalBytes / 1e9).toFixed(1)} GB`
      : '';
    const text = isDone ? `${this.#model}: done` : `${this.#model}: ${stage ?? 'downloading'}${share}`;
    if (text !== this.#last) this.#env.print(text);
    this.#last = text;
  }
}
