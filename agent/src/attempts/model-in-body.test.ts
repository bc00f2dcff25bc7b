import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withModel } from './model-in-body.ts';

const renamed = (text: string, model: string) => withModel(Buffer.from(text), model).toString();

describe('withModel', () => {
  it('changes the name of the model alone, byte by byte', () => {
    const body =
      '{"messages":[{"content":"\\"model\\":\\"tiny\\" ü","model":"x"}],"seed":12345678901234567891,"model" : "tiny","n":1.0}';
    expect(renamed(body, '/data/models/tiny "q"')).toBe(
      '{"messages":[{"content":"\\"model\\":\\"tiny\\" ü","model":"x"}],"seed":12345678901234567891,"model":"/data/models/tiny \\"q\\"","n":1.0}',
    );
  });

  it.each(['', '{}', '[]', '{"model":5}', '{"models":"tiny"}', '"model"', '{"a":{"model":"tiny"}}', '{"x":"model","y":"tiny"}'])(
    'leaves %s as it is',
    (text) => {
      expect(renamed(text, 'other')).toBe(text);
    },
  );

  it('is what writing the body anew would be, for any body', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), fc.string(), (rest, from, to) => {
        const { model: _, ...others } = rest;
        const body = { ...others, model: from };
        expect(JSON.parse(renamed(JSON.stringify(body), to))).toEqual(JSON.parse(JSON.stringify({ ...others, model: to })));
      }),
    );
  });
});
