import { RE2JS } from 're2js';
import { RoutingRules } from '../routing/rules.ts';
import type { ComplexWhen } from '../routing/signals.ts';
import { type FileReading, type Problem, readFileText } from './read-file.ts';

/** Text beyond this is not searched: expressions are linear in it, and what makes a request complex stands in the beginning. */
const SEARCHED_CHARACTERS = 65_536;

/** What `routing.yaml` says, ready to be used. */
export interface RoutingFile {
  readonly rules: RoutingRules;
  readonly complex: ComplexWhen;
}

export const readRoutingFile = (file: string, text: string, env: NodeJS.ProcessEnv = {}): FileReading<RoutingFile> => {
  const reading = readFileText(file, text, RoutingRules);
  if (reading.kind === 'refused') return reading;
  const { lineOf } = reading;
  const { matches, problems } = compile(reading.value.complex.matches, (index) => ({
    file,
    line: lineOf(['complex', 'matches', index]),
    column: 1,
  }));
  if (problems.length > 0) return { kind: 'refused', problems };
  const overridden = overrideThresholds(reading.value, env);
  if (typeof overridden === 'string')
    return { kind: 'refused', problems: [{ file: 'environment', line: 1, column: 1, what: overridden }] };
  const { tools, images } = overridden.complex;
  return { kind: 'ok', value: { rules: overridden, complex: { tools, images, matches } }, lineOf };
};

/** RE2: linear in the text, whatever the expression; `(?i)` and its like are understood. */
const compile = (
  expressions: readonly string[],
  at: (index: number) => Omit<Problem, 'what'>,
): { readonly matches: (text: string) => boolean; readonly problems: readonly Problem[] } => {
  const problems: Problem[] = [];
  const compiled = expressions.flatMap((expression, index) => {
    try {
      return [RE2JS.compile(expression)];
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      problems.push({ ...at(index), what: `complex.matches: ${JSON.stringify(expression)} is no RE2 expression: ${why}.` });
      return [];
    }
  });
  const matches = (text: string) => {
    const searched = text.slice(0, SEARCHED_CHARACTERS);
    return compiled.some((expression) => expression.matcher(searched).find());
  };
  return { matches, problems };
};

/** The seeds' variables win over the file. A string says what is wrong. */
const overrideThresholds = (rules: RoutingRules, env: NodeJS.ProcessEnv): RoutingRules | string => {
  const thresholds = { ...rules.thresholds };
  for (const [variable, key] of [
    ['SMALL_TOKEN_THRESHOLD', 'smallTokens'],
    ['MEDIUM_TOKEN_THRESHOLD', 'mediumTokens'],
  ] as const) {
    const text = env[variable];
    if (text === undefined || text === '') continue;
    if (!/^[1-9]\d{0,8}$/.test(text))
      return `${variable} is ${JSON.stringify(text)}. Write a number of tokens, for example 2000.`;
    thresholds[key] = Number(text);
  }
  if (thresholds.smallTokens > thresholds.mediumTokens)
    return 'SMALL_TOKEN_THRESHOLD exceeds MEDIUM_TOKEN_THRESHOLD. Write a smaller number for it.';
  return { ...rules, thresholds };
};
