import http from 'node:http';
import https from 'node:https';

type Environment = Readonly<Record<string, string | undefined>>;

const httpsProxyIn = (environment: Environment) => environment['https_proxy'] || environment['HTTPS_PROXY'];

/**
 * From now on the coordinator is reached through the proxy that the environment names, unless NO_PROXY lists it. Only for https, where a
 * proxy passes on what it cannot read; engines and coordinators of one's own network are called directly.
 */
export const useProxy = (environment: Environment): void => {
  const proxy = httpsProxyIn(environment);
  if (!proxy) return;
  const exceptions = environment['no_proxy'] || environment['NO_PROXY'];
  http.setGlobalProxyFromEnv({ https_proxy: proxy, ...(exceptions ? { no_proxy: exceptions } : {}) });
};

/** For WebSockets, which otherwise make their own connections. */
export const socketRoad = (url: string, environment: Environment = process.env): { agent?: https.Agent } =>
  /^(?:wss|https):/.test(url) && httpsProxyIn(environment) ? { agent: https.globalAgent } : {};

/** For people: the host of the proxy on the way to a coordinator, if there is one. */
export const proxyOnTheWay = (url: string, environment: Environment): string | null => {
  const { protocol, hostname } = new URL(url);
  const proxy = httpsProxyIn(environment);
  if (protocol !== 'https:' || !proxy || !URL.canParse(proxy)) return null;
  const exceptions = (environment['no_proxy'] || environment['NO_PROXY'] || '').split(/[,\s]+/).filter(Boolean);
  const isException = exceptions.some((entry) => entry === '*' || `.${hostname}`.endsWith(`.${entry.replace(/^\*?\./, '')}`));
  return isException ? null : new URL(proxy).host;
};
