import { describe, expect, it } from 'vitest';
import { type SignalSource, signalsOf } from './signals.ts';

const plain: SignalSource = {
  headers: { forceBig: false, complexity: null, home: null, prefer: null, models: [] },
  ...{ lastUserText: '', reasoningEffort: null, toolCount: 0, imageCount: 0, models: [] },
};
const never = { matches: () => false };

describe('signalsOf', () => {
  it.each<[string, boolean]>([
    ['please #force_big', true],
    ['#FORCE_BIG now', true],
    ['line one\n#force_big', true],
    ['#force_bigger', false],
    ['https://example.org/#force_big', false],
    ['force_big', false],
  ])('reads the tag in %j as forced: %s', (lastUserText, isForced) => {
    expect(signalsOf({ ...plain, lastUserText }, never).isForced).toBe(isForced);
  });

  it.each<[string, Partial<SignalSource>, boolean]>([
    ['nothing', {}, false],
    ['a tag', { lastUserText: 'do it #complex' }, true],
    ['high effort', { reasoningEffort: 'high' }, true],
    ['low effort', { reasoningEffort: 'low' }, false],
    ['eight tools', { toolCount: 8 }, true],
    ['seven tools', { toolCount: 7 }, false],
    ['three images', { imageCount: 3 }, true],
    ['a matching text', { lastUserText: 'refactor' }, true],
    [
      'a header that says simple, against all else',
      { reasoningEffort: 'high', headers: { ...plain.headers, complexity: 'simple' } },
      false,
    ],
    ['a header that says complex', { headers: { ...plain.headers, complexity: 'complex' } }, true],
  ])('takes %s as complex: %s', (_name, change, isComplex) => {
    const rules = { tools: 8, images: 3, matches: (text: string) => text === 'refactor' };
    expect(signalsOf({ ...plain, ...change }, rules).isComplex).toBe(isComplex);
  });

  it('takes the header’s list of models before the body’s', () => {
    const headers = { ...plain.headers, models: ['a'] };
    expect(signalsOf({ ...plain, headers, models: ['b'] }, never).models).toEqual(['a']);
    expect(signalsOf({ ...plain, models: ['b'] }, never).models).toEqual(['b']);
  });
});
