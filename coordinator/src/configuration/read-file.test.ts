import { describe, expect, it } from 'vitest';
import { problemLine } from './read-file.ts';
import { readRoutingFile } from './routing-file.ts';

const problemsOf = (text: string, env: NodeJS.ProcessEnv = {}): string[] => {
  const reading = readRoutingFile('routing.yaml', text, env);
  return reading.kind === 'refused' ? reading.problems.map(problemLine) : [];
};

describe('readRoutingFile', () => {
  it('reads the example of the documentation', () => {
    const reading = readRoutingFile(
      'routing.yaml',
      `default: auto
environments: { development: auto, staging: openai/gpt-4o-mini }
thresholds: { smallTokens: 1000 }
spillAfterMs: never
groups:
  big: [windows-rtx]
aliases:
  gaming-pc: { group: big, fallback: [small] }
  gpt-4o-mini: { models: [qwen3:8b], fallback: [openai/gpt-4o-mini], home: allowed }
complex: { tools: 8, matches: ["(?i)refactor|prove"] }
`,
    );
    expect(reading).toMatchObject({
      kind: 'ok',
      value: { rules: { thresholds: { smallTokens: 1_000, mediumTokens: 16_000 }, spillAfterMs: 'never' } },
    });
    if (reading.kind !== 'ok') return;
    expect(reading.value.complex.matches('please Refactor this')).toBe(true);
    expect(reading.value.complex.matches('hello')).toBe(false);
    expect(reading.lineOf(['aliases', 'gaming-pc'])).toBe(8);
  });

  it.each(['', '# only a comment\n', '{}', 'null'])('takes %j for a file without rules', (text) => {
    expect(readRoutingFile('routing.yaml', text).kind).toBe('ok');
  });

  it.each<[string, string, string]>([
    [
      'an unknown key',
      'aliases:\n  a: { group: big, fallbacks: [small] }',
      'routing.yaml:2:20: unknown key "fallbacks". Did you mean "fallback"?',
    ],
    ['an unknown key at the top', 'thresholdz: {}', 'routing.yaml:1:1: unknown key "thresholdz". Did you mean "thresholds"?'],
    [
      'a wrong type',
      'thresholds:\n  smallTokens: many',
      'routing.yaml:2:16: thresholds.smallTokens: Invalid input: expected number, received string.',
    ],
    [
      'an alias that leads nowhere',
      'aliases:\n  a: { fallback: [small] }',
      'routing.yaml:2:6: aliases.a: an alias needs exactly one of',
    ],
    [
      'an alias that leads to two places',
      'aliases:\n  a: { group: big, node: x }',
      'routing.yaml:2:6: aliases.a: an alias needs exactly one of',
    ],
    ['broken YAML', 'a: [1\nb: 2', 'routing.yaml:'],
    ['a key given twice', 'default: a\ndefault: b', 'routing.yaml:2:1: Map keys must be unique.'],
    [
      'an expression that cannot be compiled',
      'complex:\n  matches:\n    - "("',
      'routing.yaml:3:1: complex.matches: "(" is no RE2 expression',
    ],
    [
      'aliases of YAML that multiply',
      `a: &a [1,1,1,1,1,1,1,1,1]\n${'bcdefgh'
        .split('')
        .map((name, at) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[at]}`).join(',')}]`)
        .join('\n')}`,
      'routing.yaml:1:1:',
    ],
  ])('refuses %s with its place and what to write', (_name, text, problem) => {
    expect(problemsOf(text)[0]).toContain(problem);
  });

  it('tells of every problem of a file, in its order', () => {
    expect(problemsOf('spillAfterMs: 0\nhome: maybe\nnonsense: 1')).toHaveLength(3);
  });

  it('lets the environment override the thresholds, and refuses what is no number', () => {
    const env = { SMALL_TOKEN_THRESHOLD: '500', MEDIUM_TOKEN_THRESHOLD: '900' };
    expect(readRoutingFile('routing.yaml', '', env)).toMatchObject({
      value: { rules: { thresholds: { smallTokens: 500, mediumTokens: 900 } } },
    });
    expect(problemsOf('', { SMALL_TOKEN_THRESHOLD: '2k' })[0]).toContain(
      'SMALL_TOKEN_THRESHOLD is "2k". Write a number of tokens',
    );
    expect(problemsOf('', { SMALL_TOKEN_THRESHOLD: '99999' })[0]).toContain('exceeds MEDIUM_TOKEN_THRESHOLD');
  });

  it('searches a hostile text in linear time', () => {
    const reading = readRoutingFile('routing.yaml', 'complex: { matches: ["(a+)+$"] }');
    if (reading.kind !== 'ok') throw new Error('refused');
    expect(reading.value.complex.matches(`${'a'.repeat(60_000)}b`)).toBe(false);
  });
});
