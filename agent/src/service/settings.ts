import { readFileSync } from 'node:fs';
import { VARIABLES } from '../config.ts';

/** Settings of the installation, which whoever installs says once and the service needs for good: NAME=value lines, which the launcher reads (`process.loadEnvFile`) before it starts a version. */

/** Tokens are used up at once, paths are the layout's, and what is not the agent's (a coordinator's secrets, say) stays where it is. */
const ELSEWHERE: readonly string[] = [VARIABLES.url, VARIABLES.programDir];
const KEPT = new Set([...Object.values(VARIABLES).filter((name) => !ELSEWHERE.includes(name)), 'NODE_EXTRA_CA_CERTS']);
const PROXY = /^(?:https?|no|all)_proxy$/i;

/** The answers to an installer's questions, in a file of NAME=value lines, taken word by word: no quotes, no comments. */
export const readAnswers = (path: string): Record<string, string> =>
  Object.fromEntries(
    readFileSync(path, 'utf8')
      .split(/\r?\n/)
      .map((line) => /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line))
      .filter((match) => match !== null)
      .map(([, name = '', value = '']) => [name, value]),
  );

export const keptSettings = (answers: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(answers)
      .filter(([name, value]) => (KEPT.has(name) || PROXY.test(name)) && value)
      .map(([name, value = '']) => [name, value]),
  );

/** Pure. The file with these settings in it; whatever else somebody wrote into it stays as it is. */
export const mergedSettings = (text: string, settings: Readonly<Record<string, string>>): string => {
  const rest = new Map(Object.entries(settings));
  const lines = text === '' ? [HEADING] : text.replace(/\n$/, '').split('\n');
  const merged = lines.map((line) => {
    const name = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=/.exec(line)?.[1] ?? '';
    const value = rest.get(name);
    rest.delete(name);
    return value === undefined ? line : `${name}=${quoted(value)}`;
  });
  return `${[...merged, ...[...rest].map(([name, value]) => `${name}=${quoted(value)}`)].join('\n')}\n`;
};

const HEADING = '# Settings of the Lai agent: docs/agent-install.md. `lai-agent service restart` makes changes count.';

const quoted = (value: string): string => {
  if (/^[\w@%+:,./-]*$/.test(value)) return value;
  const mark = ["'", '"', '`'].find((candidate) => !value.includes(candidate));
  if (mark === undefined || /[\r\n]/.test(value)) throw new Error(`A setting cannot hold ${JSON.stringify(value)}.`);
  return `${mark}${value}${mark}`;
};
