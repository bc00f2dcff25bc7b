import { lookup as systemLookup } from 'node:dns/promises';
import { type Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Requests to addresses that somebody else chose (a provider's base URL, a webhook). A name is resolved once, every address it has is
 * judged, and the connection goes to a judged address and nowhere else: whoever answers differently the second time is not asked a second
 * time. Redirects are never followed. What carries a credential goes to the origin that the credential was made for.
 */
export interface OutgoingPolicy {
  /** `http:` as well; for engines in the house. */
  readonly isPlainAllowed: boolean;
  /** Addresses of the house too: loopback, private, link-local. Only for what an operator has entered. */
  readonly isPrivateAllowed: boolean;
}

export const STRICT: OutgoingPolicy = { isPlainAllowed: false, isPrivateAllowed: false };

export type UrlVerdict = { readonly kind: 'fine'; readonly url: URL } | { readonly kind: 'refused'; readonly why: string };

/** What can be said of a URL before its name is looked up. Pure. */
export const judgeUrl = (text: string, policy: OutgoingPolicy): UrlVerdict => {
  const no = (why: string): UrlVerdict => ({ kind: 'refused', why });
  // URL parsers differ in what they make of these; ours would mend them silently.
  if ([...text].some((letter) => letter <= ' ' || letter === '\u007f' || letter === '\\' || /\s/.test(letter)))
    return no('holds blanks, control characters or backslashes');
  if (!/^[a-z]+:\/\/[^/?#]/i.test(text)) return no('is no plain URL');
  if (!URL.canParse(text)) return no('is no URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(policy.isPlainAllowed && url.protocol === 'http:')) return no(`may not use ${url.protocol}`);
  if (
    url.username !== '' ||
    url.password !== '' ||
    text
      .slice(text.indexOf('//') + 2)
      .split(/[/?#]/)[0]
      ?.includes('@')
  )
    return no('holds a user name');
  if (url.hostname === '' || url.hostname.endsWith('.') || url.hostname.length > 253) return no('has no usable host');
  const address = literalAddress(url.hostname);
  if (address && !isAllowedAddress(address, policy)) return no(`points to ${address}`);
  if (!policy.isPrivateAllowed && /(^|\.)(localhost|local|internal|lan|home\.arpa|intranet)$/i.test(url.hostname))
    return no('names a host of the house');
  return { kind: 'fine', url };
};

/** The parser has turned `0x7f.1`, `2130706433` and their like into dotted form already. */
const literalAddress = (hostname: string): string | null => {
  const plain = hostname.replace(/^\[|\]$/g, '');
  return isIP(plain) === 0 ? null : plain;
};

const subnets = (entries: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits = ''] = entry.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
};

/** Nobody's to be asked, whatever the policy: this network, multicast, reserved, and IPv6 that carries an IPv4 address inside. */
const NEVER = subnets([
  ...['0.0.0.0/8', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
  ...[
    '::/128',
    '::/96',
    '64:ff9b::/96',
    '64:ff9b:1::/48',
    '100::/64',
    '2001::/23',
    '2001:db8::/32',
    '2002::/16',
    'fec0::/10',
    'ff00::/8',
  ],
  // Where clouds keep the credentials of their machines.
  ...['169.254.169.254/32', '169.254.170.2/32', 'fd00:ec2::254/128', '100.100.100.200/32'],
]);

const PRIVATE = subnets([
  ...['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'],
  ...['fc00::/7', 'fe80::/10'],
]);
const LOOPBACK_6 = '::1';

/** Pure. */
export const isAllowedAddress = (address: string, policy: OutgoingPolicy): boolean => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? hexMapped(address);
  if (mapped) return isAllowedAddress(mapped, policy);
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const isPrivate = address === LOOPBACK_6 || PRIVATE.check(address, type);
  if (isPrivate && !policy.isPrivateAllowed) return false;
  return address === LOOPBACK_6 || !NEVER.check(address, type);
};

/** `::ffff:7f00:1` is 127.0.0.1 in other words, and the form that URL parsers prefer. */
const hexMapped = (address: string): string | null => {
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address) ?? [];
  if (high === undefined || low === undefined) return null;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join('.');
};

export class OutgoingRefused extends Error {
  constructor(why: string) {
    super(`This address is not asked: it ${why}.`);
    this.name = 'OutgoingRefused';
  }
}

export interface OutgoingRequest {
  readonly url: string;
  readonly policy: OutgoingPolicy;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent only when the request goes to the origin it belongs to. */
  readonly credential?: { readonly origin: string; readonly header: string; readonly value: string };
  readonly body?: string | Uint8Array;
  readonly signal: AbortSignal;
  /** For connections that are used again; each was opened by this function. */
  readonly agents?: { readonly http: HttpAgent; readonly https: HttpsAgent };
  /** How names are looked up; a parameter for tests. */
  readonly resolve?: (hostname: string) => Promise<readonly { address: string; family: number }[]>;
}

/** The answer as it comes, status and all; a redirect is an error. Throws OutgoingRefused before anything was sent. */
export const openOutgoing = async (request: OutgoingRequest): Promise<IncomingMessage> => {
  const verdict = judgeUrl(request.url, request.policy);
  if (verdict.kind === 'refused') throw new OutgoingRefused(verdict.why);
  const { url } = verdict;
  const { credential } = request;
  if (credential && credential.origin !== url.origin)
    throw new OutgoingRefused('is not the one that its credential was made for');
  const addresses = await addressesOf(url.hostname, request);
  const chosen = addresses[0];
  if (!chosen) throw new OutgoingRefused('has no address');

  const lookup: LookupFunction = (_, options, done) =>
    options.all ? done(null, [...addresses]) : done(null, chosen.address, chosen.family);
  const isSecure = url.protocol === 'https:';
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = (isSecure ? httpsRequest : httpRequest)(
    url,
    {
      method: request.method ?? 'GET',
      headers: { ...request.headers, ...(credential ? { [credential.header]: credential.value } : {}) },
      lookup,
      signal: request.signal,
      agent: request.agents ? (isSecure ? request.agents.https : request.agents.http) : false,
    },
    resolve,
  );
  outgoing.once('error', reject);
  outgoing.end(request.body);
  const response = await promise;
  const { statusCode = 0 } = response;
  if (statusCode >= 300 && statusCode < 400) {
    response.destroy();
    throw new OutgoingRefused('redirects to another one');
  }
  return response;
};

/** All of them must be allowed: one bad address among good ones is an attempt. */
const addressesOf = async (hostname: string, { policy, resolve }: OutgoingRequest) => {
  const literal = literalAddress(hostname);
  const addresses = literal
    ? [{ address: literal, family: isIP(literal) }]
    : await (resolve ?? ((name) => systemLookup(name, { all: true, verbatim: true })))(hostname);
  const bad = addresses.find(({ address }) => !isAllowedAddress(address, policy));
  if (bad) throw new OutgoingRefused(`resolves to ${bad.address}`);
  return addresses;
};
