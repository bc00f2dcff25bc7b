import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { type Readiness, readinessOf } from '@lai/shared/readiness';
import type { AgentConfig } from '../config.ts';
import { readCredential } from '../identity.ts';
import { layoutOf } from '../service/layout.ts';
import { runCommand } from '../service/service.ts';
import { onPath } from '../supervisor/adopt.ts';
import { askStatus, NotRunning } from './ask-agent.ts';
import { checkDisk, checkEngines, checkFiles, checkGpu, checkNode } from './doctor-machine.ts';
import { checkNetwork } from './doctor-network.ts';
import { localNetworkFinding } from './doctor-services.ts';
import { checkSystem } from './doctor-system.ts';
import { type Finding, fail, warn, well } from './finding.ts';

/** Everything that keeps machines from serving, looked at in the order in which it must work. */
export const examine = async (
  config: AgentConfig,
  env: { platform: NodeJS.Platform; environment: Readonly<Record<string, string | undefined>> },
): Promise<Finding[]> => {
  const url = config.url ?? urlOf(config.dataDir);
  const groups = await Promise.all([
    [checkNode(process.versions.node)],
    checkFiles(config.dataDir),
    url ? checkNetwork(url, env) : [],
    checkAgent(config.dataDir),
    checkEngines(config),
    checkGpu(env.environment, env.platform),
    checkDisk(config.modelsDir),
    checkSystem({
      platform: env.platform,
      ollamaMode: config.ollamaMode,
      ollamaProgram: config.ollamaProgram ?? onPath('ollama'),
      uid: process.getuid?.() ?? 0,
      run: runCommand,
    }),
  ]);
  const findings = groups.flat();
  const blocked = localNetworkFinding(findings, isAgentOfSession(env.platform));
  return blocked === null ? findings : [...findings, blocked];
};

/** Registered for a user's session, and so without the daemons' way into the local network. */
const isAgentOfSession = (platform: NodeJS.Platform): boolean => {
  if (platform !== 'darwin') return false;
  const { registrationPath } = layoutOf({ platform, scope: 'user', home: homedir(), environment: {} });
  return registrationPath !== null && existsSync(registrationPath);
};

/** What the running agent knows better than we could find out: whether the coordinator takes it, and what troubles it. */
const checkAgent = async (dataDir: string): Promise<Finding[]> => {
  try {
    const { node, coordinator, troubles, engines, snapshot } = await askStatus(dataDir);
    const connected =
      coordinator.state === 'open'
        ? well('agent.connection', 'The agent runs and is connected.')
        : coordinator.state === 'refused'
          ? fail(
              'agent.connection',
              `The coordinator refuses this node: ${coordinator.detail ?? 'no reason given'}.`,
              'Join anew with a fresh token: lai-agent join',
            )
          : fail(
              'agent.connection',
              `The agent runs and is not connected (${coordinator.state}).`,
              'See what the checks of the coordinator say, and: lai-agent logs',
            );
    return [
      well('agent.running', `The agent ${node.agentVersion} runs as process ${node.pid}.`),
      connected,
      readinessFinding(readinessOf(snapshot)),
      ...engines
        .filter(({ phase }) => phase === 'quarantined')
        .map(({ name, reason }) => fail('engine.quarantined', `${name}: ${reason}`, `See what it said: lai-agent logs ${name}`)),
      ...troubles.map((trouble) => warn('agent.trouble', trouble, 'lai-agent logs says more.')),
    ];
  } catch (error) {
    if (error instanceof NotRunning) return [warn('agent.running', 'The agent is not running.', 'Start it with: lai-agent run')];
    return [
      fail(
        'agent.running',
        `The agent does not answer: ${error instanceof Error ? error.message : String(error)}.`,
        'Restart it.',
      ),
    ];
  }
};

/** The same sentence that `lai status` and `npm start` have for it. */
export const readinessFinding = ({ kind, sentence, next, passes }: Readiness): Finding => {
  if (kind === 'ready') return well('agent.ready', sentence);
  if (next === null) return passes ? well('agent.ready', sentence) : warn('agent.ready', sentence, 'lai-agent logs says more.');
  return kind === 'simulated' || kind === 'held' ? warn('agent.ready', sentence, next) : fail('agent.ready', sentence, next);
};

const urlOf = (dataDir: string): string | null => {
  try {
    return readCredential(dataDir)?.url ?? null;
  } catch {
    return null; // told by the check of files
  }
};

const SIGNS = { ok: '✓', warn: '!', fail: '✗' } as const;

export const findingsPage = (findings: readonly Finding[]): string =>
  findings.map(({ level, sentence, fix }) => `${SIGNS[level]} ${sentence}${fix === null ? '' : `\n    → ${fix}`}`).join('\n');

/** Warnings are for people to weigh; only what is broken fails a script. */
export const exitCodeOf = (findings: readonly Finding[]): 0 | 1 => (findings.some(({ level }) => level === 'fail') ? 1 : 0);
