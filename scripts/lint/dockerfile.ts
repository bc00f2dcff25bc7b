/** What is wrong with a Dockerfile, in sentences; empty when nothing is. The tool's own exit code is 0 whatever it finds. */
import { createRequire } from 'node:module';
import type * as DockerfileUtils from 'dockerfile-utils';

// CommonJS whose exports Node cannot see from outside.
const { validate } = createRequire(import.meta.url)('dockerfile-utils') as typeof DockerfileUtils;

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

/** Comments gone, continued lines joined. */
export const instructionsOf = (text: string): Instruction[] =>
  text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .flatMap((line) => {
      const [, word = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
      return word === '' ? [] : [{ word: word.toUpperCase(), rest: rest.trim() }];
    });

const isJsonList = (text: string | undefined): boolean => {
  try {
    return Array.isArray(JSON.parse(text ?? ''));
  } catch {
    return false;
  }
};

/** What the house wants of an image beyond syntax. */
const ownFindings = (text: string): string[] => {
  const all = instructionsOf(text);
  const lastFrom = all.findLastIndex(({ word }) => word === 'FROM');
  const final = all.slice(lastFrom + 1);
  const of = (word: string) => final.filter((instruction) => instruction.word === word).map(({ rest }) => rest);
  const findings = [
    [/^#\s*syntax=/m.test(text), 'a syntax line fetches a frontend past the mirror'],
    [of('RUN').length > 0, 'the final stage runs something: another architecture would need an emulator'],
    [of('ADD').length > 0, 'ADD unpacks and fetches; use COPY'],
    [!/^[1-9]\d*(?::\d+)?$/.test(of('USER').at(-1) ?? ''), 'the final stage has no numeric user other than root'],
    [!isJsonList(of('ENTRYPOINT').at(-1)), 'the entry point is no JSON list: a shell would swallow signals'],
    [!isJsonList(/CMD (.*)$/.exec(of('HEALTHCHECK').at(-1) ?? '')?.[1]), 'there is no health check in JSON form'],
    [!of('EXPOSE').every((port) => /^\d{1,5}$/.test(port)), 'what it exposes is no port'],
    [/\b(?:curl|wget)\b/.test(of('HEALTHCHECK').join(' ')), 'the health check needs curl or wget'],
    [of('STOPSIGNAL').at(-1) !== 'SIGTERM', 'the stop signal is not said'],
  ] as const;
  const images = all
    .filter(({ word }) => word === 'FROM')
    .map(({ rest }) => rest.replace(/^--platform=\S+ /, '').split(' ')[0] ?? '');
  return [
    ...findings.filter(([isBad]) => isBad).map(([, finding]) => finding),
    ...images
      .filter((image) => !image.startsWith(`${'$'}{BASE_REGISTRY}/`))
      .map((image) => `${image} is not taken from BASE_REGISTRY`),
    ...images.filter((image) => !/:[^:/]+$/.test(image) || image.endsWith(':latest')).map((image) => `${image} has no fixed tag`),
  ];
};

export const dockerfileFindings = (text: string): string[] => [
  ...validate(text).map(({ message, range }) => `line ${range.start.line + 1}: ${message}`),
  ...ownFindings(text),
];
