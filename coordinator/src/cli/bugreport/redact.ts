/** Takes out of a text what opens something. What is left names things and says what happened. Pure. */
export const redact = (text: string): string =>
  RULES.reduce((kept, [pattern, instead]) => kept.replaceAll(pattern, instead), text);

const GONE = '[redacted]';

const RULES: readonly (readonly [RegExp, string])[] = [
  // Keys, tokens and secrets of ours, whatever they are for.
  [/\b(lai|whsec)_[A-Za-z0-9+/=_-]{6,}/g, `$1_${GONE}`],
  [/\b(Bearer|Basic)\s+[^\s"',]{4,}/gi, `$1 ${GONE}`],
  [/(\/setup#)[A-Za-z0-9_-]+/g, `$1${GONE}`],
  // Who signs in with what, in an address.
  [/(\/\/)[^/@\s"']*@/g, `$1${GONE}@`],
  // A value that its name calls secret, in JSON or as NAME=value.
  [
    /((?:api[_-]?key|token|secret|password|passwd|authorization|cookie|private[_-]?key|payload[_-]?key)"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|[^\s",}]+)/gi,
    `$1"${GONE}"`,
  ],
  // What a log of ours never holds, should a later one.
  [/("(?:messages|prompt|input|content)"\s*:\s*)("(?:[^"\\]|\\.)*"|\[[^\]]*\])/g, `$1"${GONE}"`],
  [/-----BEGIN [A-Z ]+-----[\s\S]*?-----END [A-Z ]+-----/g, GONE],
  // Keys, hashes and the like: nobody needs them to find a fault.
  [/\b(?=[A-Za-z0-9+/]*\d)(?=[A-Za-z0-9+/]*[A-Za-z])[A-Za-z0-9+/]{40,}={0,2}/g, GONE],
];
