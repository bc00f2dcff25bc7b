import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '@lai/shared/command-failure';
import { CoordinatorUrl } from '@lai/shared/settings';
import { type CoordinatorConfig, readConfig } from '../config.ts';
import { holdsCoordinator, knownDataDirs, runningIn } from '../running.ts';
import { operatorKeyFile, readOperatorKey } from './operator-key.ts';

/** Where the coordinator is that a command talks to, and with which key. */
export interface Place {
  readonly url: string;
  readonly key: string | null;
  readonly config: CoordinatorConfig;
}

/** A data directory of this machine, and where its coordinator answers; null when none runs on it. */
export interface Home {
  readonly dataDir: string;
  readonly url: string | null;
}

export type Choice =
  | { readonly kind: 'home'; readonly home: Home }
  /** The directory that was named holds no coordinator. */
  | { readonly kind: 'wrong'; readonly dataDir: string }
  | { readonly kind: 'several'; readonly homes: readonly Home[] }
  /** No coordinator has ever run here. */
  | { readonly kind: 'none' };

/**
 * Which of this machine's coordinators is meant? Pure. The directory that was named; else the one that runs; else the one that last ran.
 * `homes` are those that hold a coordinator's data, the one that was started last first.
 */
export const chooseHome = (facts: { named: string | null; usual: string; homes: readonly Home[] }): Choice => {
  const { named, usual, homes } = facts;
  if (named !== null) {
    const home = homes.find(({ dataDir }) => dataDir === named);
    return home ? { kind: 'home', home } : { kind: 'wrong', dataDir: named };
  }
  const running = homes.filter(({ url }) => url !== null);
  const first = running.length > 0 ? running : homes;
  const home =
    first.find(({ dataDir }) => dataDir === usual) ?? (first.length === 1 || running.length === 0 ? first[0] : undefined);
  if (home) return { kind: 'home', home };
  return first.length > 1 ? { kind: 'several', homes: first } : { kind: 'none' };
};

/** `LAI_URL` and `LAI_API_KEY` for one elsewhere; without them, the one that runs here. */
export const placeOf = (flags: Record<string, unknown>, env: NodeJS.ProcessEnv): Place => {
  const elsewhere = env['LAI_URL'] ? coordinatorAt(env['LAI_URL']) : null;
  const config = readConfig(flags, env);
  if (elsewhere) return { url: elsewhere, key: env['LAI_API_KEY'] || readOperatorKey(config.dataDir), config };
  const isNamed = Boolean(flags['dataDir'] || env['LAI_DATA_DIR']);
  const dirs = [...new Set([config.dataDir, ...(isNamed ? [] : knownDataDirs(env))])];
  const choice = chooseHome({
    named: isNamed ? config.dataDir : null,
    usual: config.dataDir,
    homes: dirs
      .filter((dataDir) => holdsCoordinator(dataDir) || config.databaseUrl !== undefined)
      .map((dataDir) => ({ dataDir, url: runningIn(dataDir)?.url ?? null })),
  });
  const { dataDir, url } = homeOf(choice);
  // A port that was named is meant, also when something else is known to run.
  const isAddressNamed = Boolean(env['LAI_PORT'] || env['LAI_HOST']);
  return {
    url: url !== null && !isAddressNamed ? url : localUrl(config),
    key: env['LAI_API_KEY'] || readOperatorKey(dataDir),
    // What lies in the data directory by default lies in this one.
    config: dataDir === config.dataDir ? config : readConfig({ ...flags, dataDir }, env),
  };
};

const coordinatorAt = (text: string): string => {
  const { data } = CoordinatorUrl.safeParse(text);
  if (data !== undefined) return data;
  throw new UsageError(`LAI_URL is ${JSON.stringify(text)}: use the address of a coordinator, such as https://lai.example.org.`);
};

const homeOf = (choice: Choice): Home => {
  switch (choice.kind) {
    case 'home':
      return choice.home;
    case 'wrong':
      throw new UsageError(
        existsSync(choice.dataDir)
          ? `No coordinator has ever run on ${choice.dataDir}. Correct --data-dir or LAI_DATA_DIR, or start one there: lai up --data-dir ${choice.dataDir}`
          : `The data directory ${choice.dataDir} does not exist. Correct --data-dir or LAI_DATA_DIR.`,
      );
    case 'several':
      throw new UsageError(
        `Several coordinators run here. Choose one with --data-dir: ${choice.homes.map(({ dataDir, url }) => `${dataDir} (${url})`).join(', ')}.`,
      );
    case 'none':
      throw new Error(
        'No coordinator has run here yet. Start one with `npm start` or `lai up`, or name one elsewhere with LAI_URL and LAI_API_KEY.',
      );
  }
};

/** For commands that only a running coordinator can carry out. */
export const keyedPlace = (flags: Record<string, unknown>): Place & { readonly key: string } => {
  const { key, ...place } = placeOf(flags, process.env);
  if (key) return { ...place, key };
  const file = operatorKeyFile(place.config.dataDir);
  throw new Error(
    isUnreadable(file)
      ? `The key ${file} belongs to another user. Run this as that user (sudo -u …), or set LAI_API_KEY.`
      : `There is no API key for ${place.url}. Set LAI_API_KEY; \`lai keys create\` on the coordinator's machine makes one.`,
  );
};

const isUnreadable = (file: string): boolean => {
  try {
    readFileSync(file);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
};

/** An address to listen on is not always one to talk to. */
export const localUrl = ({ host, port, tlsCert }: Pick<CoordinatorConfig, 'host' | 'port' | 'tlsCert'>): string => {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `${tlsCert ? 'https' : 'http'}://${name}:${port}`;
};

/** Everything that lasts of the coordinator on this machine; never made by asking for it. */
export const existingHome = (flags: Record<string, unknown>): CoordinatorConfig => {
  const { config } = placeOf(flags, process.env);
  if (config.databaseUrl !== undefined || existsSync(join(config.dataDir, 'lai.sqlite'))) return config;
  throw new UsageError(`There is no database in ${config.dataDir}. Name the coordinator's directory with --data-dir.`);
};
