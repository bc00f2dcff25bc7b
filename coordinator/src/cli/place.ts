import { type CoordinatorConfig, readConfig } from '../config.ts';
import { readOperatorKey } from './operator-key.ts';

/** Where the coordinator is that a command talks to, and with which key. */
export interface Place {
  readonly url: string;
  readonly key: string | null;
  readonly config: CoordinatorConfig;
}

/** `LAI_URL` and `LAI_API_KEY` for one elsewhere; without them, the one that the settings describe. */
export const placeOf = (flags: Record<string, unknown>, env: NodeJS.ProcessEnv): Place => {
  const config = readConfig(flags, env);
  return {
    url: env['LAI_URL']?.replace(/\/$/, '') || localUrl(config),
    key: env['LAI_API_KEY'] || readOperatorKey(config.dataDir),
    config,
  };
};

/** For commands that only a running coordinator can carry out. */
export const keyedPlace = (flags: Record<string, unknown>): Place & { readonly key: string } => {
  const { key, ...place } = placeOf(flags, process.env);
  if (!key) throw new Error(`No API key: set LAI_API_KEY, or run this where ${place.config.dataDir} is.`);
  return { ...place, key };
};

/** An address to listen on is not always one to talk to. */
export const localUrl = ({ host, port, tlsCert }: Pick<CoordinatorConfig, 'host' | 'port' | 'tlsCert'>): string => {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `${tlsCert ? 'https' : 'http'}://${name}:${port}`;
};
