import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@lai/shared/command-failure';
import { type AgentConfig, readConfig } from '../config.ts';

/** The settings of the agent that a command is about: the one that was named, else the one that is on this machine. */
export const agentHere = (flags: Record<string, unknown>, environment: NodeJS.ProcessEnv): AgentConfig => {
  const config = readConfig(flags, environment);
  if (flags['dataDir'] || environment['LAI_AGENT_DATA_DIR']) return config;
  const dataDir = chooseAgent(config.dataDir, foldersOf(environment['LAI_DEFAULT_DATA_DIR']).filter(isAgents), isAgents);
  return dataDir === config.dataDir ? config : readConfig({ ...flags, dataDir }, environment);
};

/** The usual folder where an agent has it; else the one that a coordinator of this clone runs. Pure but for `has`. */
export const chooseAgent = (usual: string, others: readonly string[], has: (dataDir: string) => boolean): string => {
  const [other] = others;
  if (has(usual) || other === undefined) return usual;
  if (others.length === 1) return other;
  throw new UsageError(`Several agents are here. Choose one with --data-dir: ${others.join(', ')}.`);
};

const isAgents = (dataDir: string): boolean => existsSync(join(dataDir, 'node.json'));

/** `lai up` keeps its agents below its own data. */
const foldersOf = (coordinatorDir: string | undefined): string[] => {
  if (!coordinatorDir) return [];
  try {
    return readdirSync(join(coordinatorDir, 'agents')).map((name) => join(coordinatorDir, 'agents', name));
  } catch {
    return [];
  }
};
