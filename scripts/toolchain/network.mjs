/** What a failed download says about its cause, and what to type. Pure. */

const again = 'then give the same command again; what has arrived is kept';

/**
 * Signs in the output of npm, pnpm and apt, the most telling first.
 * @type {readonly { signs: RegExp, why: string, next: string }[]}
 */
const causes = [
  {
    signs: /EINTEGRITY|ERR_PNPM_TARBALL_INTEGRITY/,
    why: 'the registry served other bytes than Lai was made with',
    next: 'do not go on from this network; try another one, and report it when it stays',
  },
  {
    signs: /CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|certificate (?:has expired|is not yet valid)/i,
    why: "the registry's certificate is outside its dates; usually this machine's clock is wrong",
    next: `compare \`date\` with a watch and set the clock, ${again}`,
  },
  {
    signs:
      /SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF|DEPTH_ZERO|ERR_TLS_CERT|self[- ]signed certificate|unable to (?:get local issuer|verify the first) certificate|Certificate verification failed/i,
    why: 'this machine does not trust the certificate that it was shown: a proxy or virus scanner on the way probably shows its own',
    next: `export NODE_EXTRA_CA_CERTS=/path/to/its-root-certificate.pem, ${again}`,
  },
  {
    signs: /\b407\b|Proxy Authentication Required/i,
    why: 'the proxy wants a name and a password',
    next: `export HTTPS_PROXY=http://name:password@proxy:port, ${again}`,
  },
  {
    signs: /\bE40[13]\b|\b40[13] (?:Unauthorized|Forbidden)|ERR_PNPM_FETCH_40[13]/i,
    why: 'the npm registry refuses this machine',
    next: `look at \`npm config get registry\`: it needs a login there, or another registry, ${again}`,
  },
  {
    signs: /\bE404\b|ERR_PNPM_FETCH_404/,
    why: 'the npm registry does not have this package; it is probably a mirror that lags behind',
    next: `look at \`npm config get registry\`, or wait until the mirror has it, ${again}`,
  },
  {
    signs: /ENOSPC|No space left/i,
    why: 'the disk is full',
    next: `make 1 GB of room on the disk of this directory, ${again}`,
  },
  {
    signs: /EACCES|EPERM|EROFS|Permission denied/i,
    why: 'a file or folder may not be written',
    next: `correct the owner of what is named above (it may have been made as root), ${again}`,
  },
  {
    signs: /ENOTFOUND|EAI_AGAIN|getaddrinfo|Temporary failure resolving|Could not resolve/i,
    why: 'the name of the server cannot be looked up: no network, no DNS, or a proxy is needed',
    next: `connect this machine, or export HTTPS_PROXY=http://proxy:port, ${again}`,
  },
  {
    signs:
      /ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT|socket hang up|network timeout|Connection (?:timed out|refused|failed)|Could not connect/i,
    why: 'the server does not answer: the network is slow or broken, or a firewall or proxy is in between',
    next: `try another network, or export HTTPS_PROXY=http://proxy:port, ${again}`,
  },
];

/**
 * @param {string} output what the program that downloads has printed
 * @returns {{ why: string, next: string }} `why` ends with the line that says so
 */
export function downloadAdvice(output) {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const found = causes.find(({ signs }) => signs.test(output));
  if (found === undefined) {
    const next = `check the network connection, ${again}`;
    return { why: lines.slice(-5).join('\n') || 'it printed nothing', next };
  }
  const telling = lines.find((line) => found.signs.test(line)) ?? '';
  return { why: `${found.why}\n${telling.slice(0, 300)}`, next: found.next };
}
