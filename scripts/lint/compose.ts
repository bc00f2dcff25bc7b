/** What is wrong with a compose file, in sentences; empty when nothing is. */
import { DCLinter } from 'dclint';
import { parse } from 'yaml';

/** Style of its own that says nothing about being right, and a rule against naming what is built (compose's own reference does it). */
const OFF = ['service-keys-order', 'services-alphabetical-order', 'no-build-and-image', 'require-quotes-in-ports'] as const;

/** What we look at; whether the rest is a compose file is the linter's business. */
export interface Service {
  readonly image: string;
  readonly ports?: readonly string[];
  readonly networks: readonly string[] | Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly security_opt?: readonly string[];
  readonly mem_limit?: string;
  readonly memswap_limit?: string;
  readonly pids_limit?: number;
  readonly restart?: string;
  readonly stop_grace_period?: string;
  readonly logging?: { readonly options?: Readonly<Record<string, string>> };
  readonly command?: readonly string[];
  readonly build?: unknown;
}
export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
}

export const readCompose = (text: string): Compose => parse(text) as Compose;

const memoryMib = (text: string | undefined): number => Number(/^(\d+)m$/.exec(text ?? '')?.[1] ?? Number.NaN);

const ownFindings = ({ services, networks }: Compose): string[] =>
  Object.entries(services).flatMap(([name, service]) => {
    const onNetworks = Array.isArray(service.networks) ? service.networks : Object.keys(service.networks);
    const isStore = name === 'redis' || name === 'postgres';
    const tag = /:([^:/}]+|\$\{LAI_VERSION:-\d+\.\d+\.\d+\})$/.exec(service.image)?.[1];
    const findings = [
      [!/^(?:local|v?\d+\.\d+[\w.-]*|\$\{LAI_VERSION.*)$/.test(tag ?? ''), `${service.image} has no fixed tag`],
      [Number.isNaN(memoryMib(service.mem_limit)), 'has no memory limit'],
      [service.mem_limit !== service.memswap_limit, 'may swap'],
      [service.pids_limit === undefined, 'may have any number of processes'],
      [!service.security_opt?.includes('no-new-privileges:true'), 'may gain privileges'],
      [service.restart !== 'unless-stopped', 'does not come back'],
      [!service.logging?.options?.['max-size'], 'may log until the disk is full'],
      [isStore && service.ports !== undefined, 'is published'],
      [isStore && !onNetworks.every((network) => networks[String(network)]?.internal === true), 'is on a network that leads out'],
      [service.ports?.some((port) => !/^(?:\d+\.){3}\d+:/.test(port)), 'publishes a port without saying on which address'],
    ] as const;
    return findings.filter(([isBad]) => isBad).map(([, finding]) => `${name} ${finding}`);
  });

export const composeFindings = (path: string, text: string): string[] => {
  const rules = Object.fromEntries(OFF.map((rule) => [rule, 0 as const]));
  const linter = new DCLinter({ rules, quiet: false, debug: false, exclude: [] });
  const [result] = linter.lintFiles([path], false);
  const messages: readonly { line: number; rule: string; message: string }[] = result?.messages ?? [
    { line: 0, rule: 'none', message: 'the linter said nothing' },
  ];
  return [...messages.map(({ line, rule, message }) => `line ${line}: ${message} (${rule})`), ...ownFindings(readCompose(text))];
};
