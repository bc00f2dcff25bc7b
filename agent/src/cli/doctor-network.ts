import { lookup } from 'node:dns/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { AGENT_SOCKET_PATH } from '@lai/shared/protocol/version';
import WebSocket from 'ws';
import { proxyOnTheWay, socketRoad } from '../proxy.ts';
import { type Finding, fail, warn, well } from './finding.ts';

const LIMIT_MS = 5_000;
/** Tokens and certificates allow for this much. */
const SKEW_MS = 60_000;

/** The road to the coordinator, one stretch after the other; after the first that is closed the rest tells nothing. */
export const checkNetwork = async (
  url: string,
  env: { platform: NodeJS.Platform; environment: Readonly<Record<string, string | undefined>> },
): Promise<Finding[]> => {
  const findings: Finding[] = [];
  const { hostname, protocol } = new URL(url);
  const proxy = proxyOnTheWay(url, env.environment);
  if (proxy !== null) findings.push(well('coordinator.proxy', `The agent goes through the proxy ${proxy}.`));
  const name = hostname.replace(/^\[|\]$/g, '');
  const found = lookup(name, { all: true }).catch(() => null);
  const addresses = await Promise.race([found, pause(LIMIT_MS, null, { ref: false })]);
  // Behind a proxy names are the proxy's to know.
  if (addresses === null && proxy === null) {
    return [
      ...findings,
      fail(
        'coordinator.dns',
        `The name ${name} cannot be resolved.`,
        'Check the spelling and the DNS server of this machine, or join with an address.',
      ),
    ];
  }
  if (addresses !== null)
    findings.push(well('coordinator.dns', `${name} is ${addresses.map(({ address }) => address).join(', ')}.`));

  const askedAtMs = Date.now();
  const answer = await fetch(url, { signal: AbortSignal.timeout(LIMIT_MS), redirect: 'manual' }).catch((error: unknown) =>
    codeOf(error),
  );
  if (typeof answer === 'string') return [...findings, unreachable(answer, url, env.platform)];
  await answer.body?.cancel();
  findings.push(well('coordinator.http', `The coordinator answers at ${url}.`));
  if (protocol === 'http:' && !isLoopback(hostname) && !isPrivate(addresses?.[0]?.address ?? '')) {
    findings.push(
      warn(
        'coordinator.tls',
        'The road to the coordinator is not encrypted, and it leaves the house.',
        'Put TLS in front of the coordinator and join with https://.',
      ),
    );
  }
  const skew = clockSkew(answer.headers.get('date'), askedAtMs, Date.now());
  if (skew) findings.push(skew);
  findings.push(await checkUpgrade(url));
  return findings;
};

/** A clock that is off by a minute fails registrations and certificates. The header counts whole seconds, and the answer took a while. */
export const clockSkew = (dateHeader: string | null, askedAtMs: number, answeredAtMs: number): Finding | null => {
  const theirsMs = Date.parse(dateHeader ?? '');
  if (Number.isNaN(theirsMs)) return null;
  const aheadMs = askedAtMs - theirsMs - 1_000;
  const behindMs = theirsMs - answeredAtMs;
  const offMs = Math.max(aheadMs, behindMs);
  if (offMs <= SKEW_MS) return well('coordinator.clock', 'The clocks of this machine and the coordinator agree.');
  const words = `This machine's clock is ${Math.round(offMs / 1_000)} s ${aheadMs > behindMs ? 'ahead of' : 'behind'} the coordinator's.`;
  return fail('coordinator.clock', words, 'Switch on automatic time (NTP) on both machines.');
};

export const unreachable = (code: string, url: string, platform: NodeJS.Platform): Finding => {
  if (/CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|TLS|SSL/.test(code))
    return fail(
      'coordinator.tls',
      `The certificate of ${url} is not accepted (${code}).`,
      'Use a certificate that this machine trusts, or set NODE_EXTRA_CA_CERTS to the CA that signed it.',
    );
  if (code === 'EHOSTUNREACH' && platform === 'darwin')
    return fail(
      'coordinator.local-network',
      `${url} is on the local network, and macOS does not let the agent reach it.`,
      'Allow it under System Settings → Privacy & Security → Local Network, or run the agent as a LaunchDaemon, which needs no permission.',
    );
  if (code === 'ECONNREFUSED')
    return fail(
      'coordinator.http',
      `Nobody listens at ${url}.`,
      'Start the coordinator there (`lai up`), or run with --url if it has moved.',
    );
  return fail(
    'coordinator.http',
    `${url} cannot be reached (${code}).`,
    'Check the address, the firewall between here and there, and that the coordinator runs.',
  );
};

/** Many proxies pass requests and drop sockets. Hangs up before it says who it is, so a running agent is not disturbed. */
const checkUpgrade = (url: string): Promise<Finding> =>
  new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws').replace(/\/$/, '')}${AGENT_SOCKET_PATH}`, {
      handshakeTimeout: LIMIT_MS,
      followRedirects: false,
      ...socketRoad(url),
    });
    const refused = (why: string) =>
      resolve(
        fail(
          'coordinator.socket',
          `The coordinator answers, and its WebSocket does not open (${why}).`,
          `Let the proxy in front of it pass "Upgrade: websocket" for ${AGENT_SOCKET_PATH}.`,
        ),
      );
    socket.once('open', () => {
      resolve(well('coordinator.socket', 'The WebSocket to the coordinator opens.'));
      socket.terminate();
    });
    socket.once('unexpected-response', (_, response) => {
      refused(`status ${response.statusCode}`);
      socket.terminate();
    });
    socket.on('error', (error) => refused(codeOf(error)));
  });

const codeOf = (error: unknown): string => {
  const { cause } = error as { cause?: { code?: string } };
  return cause?.code ?? (error as { code?: string }).code ?? (error instanceof Error ? error.message : String(error));
};

const isLoopback = (hostname: string): boolean => ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
const isPrivate = (address: string): boolean =>
  /^(?:10\.|127\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|::1$|f[cd]|fe80)/i.test(
    address,
  );
