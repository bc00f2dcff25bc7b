import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';
import type { FleetStatus } from '@lai/shared/admin-api';
import { isLoopback } from '../access/client-address.ts';
import type { CoordinatorConfig } from '../config.ts';
import { startCoordinator } from '../coordinator.ts';
import { createLogger } from '../logger.ts';
import { askJoinCommand } from './ask-join-command.ts';
import { askFirstQuestion } from './first-answer.ts';
import { LocalAgent } from './local-agent.ts';
import { ensureOperatorKey } from './operator-key.ts';

const NODE_LIMIT_MS = 60_000;
const DEMO_NODES = ['mac-m1', 'windows-rtx', 'linux-3070'];

export interface UpOptions {
  readonly config: CoordinatorConfig;
  readonly once: boolean;
  readonly demo: boolean;
}

/**
 * `lai up`: everything on this machine with one command. Coordinator with a private Redis, an agent that is enrolled already, one real
 * question to show that it works. Logs go to files, so that the screen is for people.
 */
export const up = async ({ config, once, demo }: UpOptions): Promise<number> => {
  const logs = join(config.dataDir, 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const log = createLogger(config.logLevel, join(logs, 'coordinator.log'));
  const stopped = stopSignal();
  const coordinator = await startCoordinator(config, log);
  const key = await ensureOperatorKey(coordinator.db, config.dataDir);
  const agents = (demo ? DEMO_NODES : [localName()]).map(
    (name) =>
      new LocalAgent({
        name,
        url: coordinator.url,
        db: coordinator.db,
        dataDir: config.dataDir,
        args: demo ? ['--runtime', 'mock', '--mock-profile', name] : [],
      }),
  );
  try {
    await Promise.all(agents.map((agent) => agent.start()));
    say(`Coordinator is up at ${coordinator.url}; waiting for ${demo ? 'three simulated nodes' : 'this machine'} to join …`);
    const status = await Promise.race([nodesReady(coordinator.url, key, agents.length), stopped]);
    if (!status) {
      complain(
        `No node came up within ${NODE_LIMIT_MS / 1_000} s. ${agents.map((agent) => agent.lastWords).join(' ')} Logs: ${logs}`,
      );
      return 1;
    }
    if (typeof status === 'string') return 0;
    describe(status);
    const answer = await askFirstQuestion({ url: coordinator.url, key, write: (text) => process.stdout.write(text) });
    if (!answer.isComplete) complain(`That did not work: ${answer.sentence}`);
    else say(dim(`— ${answer.sentence}\n`));
    if (once) return answer.isComplete ? 0 : 1;
    invite(coordinator.url, key, logs);
    if (coordinator.lan) await Promise.race([inviteMachines(coordinator.url, key, coordinator.lan), stopped]);
    else say(dim(wayIn(config)));
    if (coordinator.setupUrl) say(dim(`Operators with a password: the first one signs up, once, at ${coordinator.setupUrl}`));
    await stopped;
    say('\nStopping …');
    return 0;
  } finally {
    await Promise.all(agents.map((agent) => agent.close()));
    await coordinator.close();
  }
};

/** Null when they do not come within the limit. */
const nodesReady = async (url: string, key: string, count: number): Promise<FleetStatus | null> => {
  const deadline = performance.now() + NODE_LIMIT_MS;
  while (performance.now() < deadline) {
    const response = await fetch(`${url}/api/v1/status`, { headers: { authorization: `Bearer ${key}` } });
    const status = (await response.json()) as FleetStatus;
    const ready = status.nodes.filter(
      (node) => node.liveness === 'alive' && node.snapshot?.models.some((model) => model.capabilities.includes('chat')),
    );
    if (ready.length >= count) return status;
    await pause(100);
  }
  return null;
};

const describe = (status: FleetStatus): void => {
  for (const { snapshot } of status.nodes) {
    if (!snapshot) continue;
    const [runtime] = snapshot.runtimes;
    const simulated = runtime?.isSimulated
      ? styleText('yellow', ' SIMULATED: no inference engine was found, answers are made up')
      : '';
    const models = snapshot.models.map((model) => model.id).join(', ');
    say(`${styleText('bold', snapshot.name)}: ${runtime?.kind} ${runtime?.version ?? ''} with ${models}${simulated}`);
  }
  say('\nA first question through the public endpoint:\n');
};

const invite = (url: string, key: string, logs: string): void => {
  say(`Your endpoint:  ${styleText('bold', `${url}/v1`)}`);
  say(`Your API key:   ${styleText('bold', key)}`);
  say(`Your dashboard: ${styleText('bold', `${url}/ui/`)}\n`);
  say(`curl ${url}/v1/chat/completions \\
  -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' \\
  -d '{"model": "auto", "stream": true, "messages": [{"role": "user", "content": "Hello!"}]}'\n`);
  say(dim(`Logs are in ${logs}. Ctrl-C stops everything.`));
};

const wayIn = ({ host, publicUrl }: CoordinatorConfig): string =>
  isLoopback(host) && publicUrl === undefined
    ? 'This coordinator listens on 127.0.0.1. Other machines join when it is started with --lan: npm start -- --lan'
    : 'Other machines: `lai join-command --os linux|macos|windows` prints the line to paste there.';

/** How other machines of the network come in, and clients there. */
const inviteMachines = async (url: string, key: string, lan: { url: string; authorityPath: string }): Promise<void> => {
  say(`On the local network: ${styleText('bold', `${lan.url}/v1`)}, for clients that trust ${lan.authorityPath}`);
  try {
    const { command } = await askJoinCommand({ url, key }, { os: 'linux' }, (step) => say(dim(`  ${step}`)));
    say('\nPaste this on a Linux machine with a GPU; it lets one machine join, within an hour:\n');
    say(`${styleText('bold', command)}\n`);
    say(dim('For others: `lai join-command --os linux|macos|windows`.'));
  } catch (error) {
    complain(`Other machines cannot join yet: ${error instanceof Error ? error.message : String(error)}`);
  }
};

/** Listens for good: a second Ctrl-C must not kill us while Redis is being stopped. */
const stopSignal = (): Promise<'stopped'> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve('stopped'));
  });

const localName = (): string =>
  hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 64) || 'this-machine';
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const complain = (text: string): void => void process.stderr.write(`${styleText('red', text, { stream: process.stderr })}\n`);
const dim = (text: string): string => styleText('dim', text);
