/** Why a program could not talk to an address: sentences for people, made from the codes of Node. Pure. */

export interface Unreachable {
  readonly kind: 'nobody' | 'no_name' | 'no_answer' | 'untrusted' | 'no_tls' | 'tls_wanted' | 'moved' | 'no_address' | 'unknown';
  /** What happened and why, ending with a full stop. */
  readonly what: string;
  /** What helps whatever the program is; null where only the caller knows. */
  readonly next: string | null;
}

/** Takes what `fetch`, `http` and `ws` throw. */
export const unreachable = (error: unknown, url: string): Unreachable => {
  const code = codeOf(error);
  const told = (kind: Unreachable['kind'], what: string, next: string | null = null): Unreachable => ({ kind, what, next });
  if (/^ECONNREFUSED$/.test(code)) return told('nobody', `Nothing listens at ${url}.`);
  if (/^(ENOTFOUND|EAI_AGAIN)$/.test(code))
    return told('no_name', `The name in ${url} cannot be resolved (${code}).`, 'Check its spelling and the DNS of this machine.');
  if (/TIMEOUT|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/.test(code))
    return told('no_answer', `${url} does not answer (${code}).`, 'Check the address, the network and the firewall in between.');
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_LAYER|EPROTO/.test(code))
    return told('no_tls', `${url} does not speak TLS.`, `Use ${url.replace(/^(http|ws)s:/, '$1:')} if the network is trusted.`);
  if (/CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|TLS|SSL/.test(code))
    return told(
      'untrusted',
      `The certificate of ${url} is not accepted (${code}).`,
      'Set NODE_EXTRA_CA_CERTS to the file of the authority that signed it, or use the name that it was made for.',
    );
  if (/^(ECONNRESET|EPIPE|UND_ERR_SOCKET|HPE_)/.test(code) || /hang up/.test(code))
    return told(
      'tls_wanted',
      `${url} closes the connection without an answer (${code}).`,
      url.startsWith('http:') ? `If it has a certificate, use ${url.replace(/^http:/, 'https:')}.` : null,
    );
  if (/redirect/i.test(code)) return told('moved', `${url} sends to another address.`, 'Use the address that it sends to.');
  if (/INVALID_URL|Invalid URL|ERR_INVALID|unknown scheme|bad port/i.test(code))
    return told('no_address', `"${url}" is not an address.`, 'Write it as http://host:port or https://host.');
  return told('unknown', `${url} cannot be reached (${code}).`);
};

/** The most telling code in a chain of causes; else the message. */
export const codeOf = (error: unknown): string => {
  const links: { code?: unknown; name?: unknown; message?: unknown; cause?: unknown; errors?: unknown }[] = [];
  for (
    let link = error;
    typeof link === 'object' && link !== null && links.length < 8;
    link = (link as { cause?: unknown }).cause
  )
    links.push(link);
  const [first] = (links.at(-1)?.errors as { code?: unknown }[] | undefined) ?? [];
  const codes = [first?.code, ...links.reverse().map(({ code }) => code)];
  const code = codes.find((candidate) => typeof candidate === 'string' && candidate !== '');
  if (code !== undefined) return String(code);
  const name = links.find((link) => link.name === 'TimeoutError');
  if (name) return 'ETIMEDOUT';
  return String(links[0]?.message ?? error);
};
