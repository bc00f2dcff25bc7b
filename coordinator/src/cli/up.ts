import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';
import type { FleetStatus } from '@lai/shared/admin-api';
import { FIRST_MODEL, readinessOf, readinessText } from '@lai/shared/readiness';
import { escapeObeyed, ownControls } from '@lai/shared/terminal-text';
import { isLoopback } from '../access/client-address.ts';
import type { CoordinatorConfig } from '../config.ts';
import { startCoordinator } from '../coordinator.ts';
import { createLogger } from '../logger.ts';
import { askJoinCommand } from './ask-join-command.ts';
import { commandNode } from './command-node.ts';
import { askFirstQuestion } from './first-answer.ts';
import { isStandInObsolete, nextStep } from './first-model.ts';
import { LocalAgent } from './local-agent.ts';
import { progressLine } from './models.ts';
import { ensureOperatorKey } from './operator-key.ts';
import { fetchStatus } from './status.ts';
import { stopSignal } from './stop-signal.ts';

const LOOK_EVERY_MS = 100;
/** A node that has not connected by then has something to say about it. */
const CONNECT_WORD_MS = 2_500;
/** With `--once`: how long something that passes by itself is waited for, and something that does not. */
const ONCE_LIMIT_MS = 60_000;
const ONCE_STUCK_MS = 2_500;
/** Engines are found one after another: what is missing for a moment is not told. */
const SETTLE_MS = 1_000;
const RETIRE_LOOK_MS = 2_000;
const DEMO_NODES = ['mac-m1', 'windows-rtx', 'linux-3070'];

export interface UpOptions {
  readonly config: CoordinatorConfig;
  readonly once: boolean;
  readonly demo: boolean;
  /** A model to bring onto this machine where it is missing. */
  readonly pull: string | null;
}

interface Here {
  readonly url: string;
  readonly key: string;
  readonly agents: readonly LocalAgent[];
  readonly logs: string;
}

/**
 * `lai up`: everything on this machine with one command. Coordinator with a private Redis, an agent that is enrolled already, one real
 * question to show that it works. Logs go to files, so that the screen is for people. Whatever fails, nothing is left behind.
 */
export const up = async ({ config, once, demo, pull }: UpOptions): Promise<number> => {
  const logs = join(config.dataDir, 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const stopping = new AbortController();
  const stopped = stopSignal().then(() => stopping.abort());
  const undo = new AsyncDisposableStack();
  try {
    const coordinator = await startCoordinator(config, createLogger(config.logLevel, join(logs, 'coordinator.log')));
    undo.defer(() => coordinator.close());
    const key = await ensureOperatorKey(coordinator.db, config.dataDir);
    const { url, db } = coordinator;
    const agents = (demo ? DEMO_NODES : [localName()]).map(
      (name) =>
        new LocalAgent({
          ...{ name, url, db, dataDir: config.dataDir },
          args: demo ? ['--runtime', 'mock', '--mock-profile', name] : [],
        }),
    );
    for (const agent of agents) undo.defer(() => agent.close());
    if (stopping.signal.aborted) return 0;
    await Promise.all(agents.map((agent) => agent.start()));
    say(`Coordinator is up at ${url}; waiting for ${demo ? 'three simulated nodes' : 'this machine'} to join …`);

    const here: Here = { url, key, agents, logs };
    const greet = async () => {
      invite(url, key, logs);
      if (coordinator.lan) await Promise.race([inviteMachines(url, key, coordinator.lan), stopped]);
      else say(dim(wayIn(config)));
      if (coordinator.setupUrl) say(dim(`Operators with a password: the first one signs up, once, at ${coordinator.setupUrl}`));
    };
    let isGreeted = false;
    const status = await untilAnswering(here, {
      ...{ once, pull, signal: stopping.signal },
      onStuck: async () => {
        if (!isGreeted) await greet();
        isGreeted = true;
      },
    });
    if (stopping.signal.aborted) return goodbye();
    if (status === null) return 1;
    describe(status);
    const answer = await askFirstQuestion({ url, key, write: (text) => process.stdout.write(escapeObeyed(text)) });
    if (!answer.isComplete) complain(`That did not work: ${answer.sentence}`);
    else say(dim(`— ${answer.sentence}\n`));
    if (once) return answer.isComplete ? 0 : 1;
    if (!isGreeted) await greet();
    await Promise.race([stopped, demo ? stopped : retireStandIn(here, stopping.signal)]);
    await stopped;
    return goodbye();
  } finally {
    await undo.disposeAsync();
  }
};

/**
 * Resolves when the nodes of this machine can answer; null when they will not (`once`) or we are told to stop. What is missing is said
 * within three seconds, each sentence once; a model is pulled where that was asked for, or agreed to at the terminal.
 */
const untilAnswering = async (
  here: Here,
  wish: { once: boolean; pull: string | null; signal: AbortSignal; onStuck: () => Promise<void> },
): Promise<FleetStatus | null> => {
  const startedAtMs = performance.now();
  const said = new Set<string>();
  let { pull } = wish;
  let stuckSinceMs: number | null = null;
  const tell = (sentence: string) => {
    if (said.has(sentence)) return false;
    said.add(sentence);
    complain(sentence);
    return true;
  };
  while (!wish.signal.aborted) {
    const status = await fetchStatus(here.url, here.key);
    const step = nextStep(status, { nodes: here.agents.length, pull });
    const sinceMs = performance.now() - startedAtMs;
    if (step.kind !== 'tell') stuckSinceMs = null;
    switch (step.kind) {
      case 'ask':
        if (pull !== null && status.nodes.every(({ snapshot }) => !snapshot || readinessOf(snapshot).kind === 'simulated'))
          tell(`No engine of this machine downloads models, so ${pull} was not pulled: Ollama would.`);
        return status;
      case 'pull':
        pull = null;
        await pullHere(here, step, wish.signal);
        break;
      case 'tell': {
        stuckSinceMs ??= performance.now();
        if (performance.now() - stuckSinceMs < SETTLE_MS) break;
        const isNew = tell(readinessText(step.readiness));
        if (isNew && step.offer) pull = await offerModel(wish.signal);
        if (isNew && pull === null && !wish.once) await wish.onStuck();
        if (pull === null && wish.once && performance.now() - stuckSinceMs > ONCE_STUCK_MS) return null;
        break;
      }
      case 'wait':
        if (step.readiness) tell(readinessText(step.readiness));
        else if (sinceMs > CONNECT_WORD_MS) tell(whyNotConnected(here));
        if (wish.once && sinceMs > ONCE_LIMIT_MS && step.readiness?.kind !== 'downloading') return null;
    }
    await pause(LOOK_EVERY_MS, undefined, { signal: wish.signal }).catch(() => {});
  }
  return null;
};

const whyNotConnected = ({ agents, logs }: Here): string => {
  const words = agents.map(({ lastWords }) => lastWords.trim()).find((text) => text !== '');
  return words
    ? `The agent of this machine ended: ${words.replace(/^lai-agent: /, '')} It is started again.`
    : `The agent of this machine has not connected yet; its log is in ${logs}.`;
};

const pullHere = async (
  { url, key }: Here,
  { nodeId, model }: { nodeId: string; model: string },
  signal: AbortSignal,
): Promise<void> => {
  say(`Pulling ${model}; Ctrl-C stops, and the next pull goes on there.`);
  try {
    await commandNode({ url, key }, nodeId, { type: 'model.pull', model }, progressLine(), signal);
    say(`${model} is here.`);
  } catch (error) {
    if (!signal.aborted) complain(`${model} was not pulled: ${error instanceof Error ? error.message : String(error)}`);
  }
};

/** Asked at a terminal; elsewhere the way is said. Never pulled unasked. */
const offerModel = async (signal: AbortSignal): Promise<string | null> => {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    complain(`Or let Lai do it: npm start -- --pull ${FIRST_MODEL}`);
    return null;
  }
  const reader = createInterface({ input: process.stdin, output: ownControls(process.stderr) });
  // A terminal in raw mode sends Ctrl-C to the reader alone.
  reader.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const answer = await reader.question(`Pull ${FIRST_MODEL} (0.5 GB) now? [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim()) ? FIRST_MODEL : null;
  } catch {
    return null;
  } finally {
    reader.close();
  }
};

/** Ends the simulation on this machine as soon as another one can really answer; its agent stays and looks for an engine. */
const retireStandIn = async ({ url, key, agents }: Here, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    const status = await fetchStatus(url, key).catch(() => null);
    if (status && isStandInObsolete(status)) {
      await Promise.all(agents.map((agent) => agent.restart(['--stand-in', 'no'])));
      say('A real node has joined: this machine answers no more with simulated text.');
      return;
    }
    await pause(RETIRE_LOOK_MS, undefined, { signal }).catch(() => {});
  }
};

const describe = (status: FleetStatus): void => {
  for (const { snapshot } of status.nodes) {
    if (!snapshot) continue;
    const [runtime] = snapshot.runtimes;
    const readiness = readinessOf(snapshot);
    const models = snapshot.models.map((model) => model.id).join(', ');
    const engine = runtime
      ? `${runtime.kind}${runtime.version ? ` ${runtime.version}` : ''} with ${models || 'no model'}`
      : 'no engine';
    const isSimulated = readiness.kind === 'simulated';
    say(
      `${styleText('bold', snapshot.name)}: ${engine}${isSimulated ? styleText('yellow', ' SIMULATED: answers are made up') : ''}`,
    );
    if (readiness.kind !== 'ready') say(styleText('yellow', `  ${readinessText(readiness)}`));
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

const goodbye = (): number => {
  say('\nStopping …');
  return 0;
};

const localName = (): string =>
  hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 64) || 'this-machine';
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const complain = (text: string): void =>
  void process.stderr.write(`${styleText('yellow', escapeObeyed(text), { stream: process.stderr })}\n`);
const dim = (text: string): string => styleText('dim', text);
