import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { affinityOf } from './affinity.ts';
import { UnreadableAnswer } from './chunk-reader.ts';
import { fromBase64, toBase64, vectorsAs } from './embedding-vectors.ts';
import { parseForm, refuseAmbiguousFields, writeForm } from './multipart.ts';
import { RememberedItems } from './remembered-items.ts';

describe('what names a conversation', () => {
  const talk = { name: 'from the body', start: 'system: be brief' };
  const of = (headers: Record<string, string>, key = 'k', conversation: typeof talk | null = talk) =>
    affinityOf(headers, key, conversation);

  it.each(['x-session-affinity', 'x-session-id', 'session-id', 'x-claude-code-session-id', 'x-openwebui-chat-id'])(
    'is %s',
    (header) => {
      expect(of({ [header]: 'a' }).session).toBe(of({ [header]: 'a' }).session);
      expect(of({ [header]: 'a' }).session).not.toBe(of({ [header]: 'b' }).session);
      expect(of({ [header]: 'a' }).session).not.toBe(of({}).session);
    },
  );

  it('is the body when no header tells, and nothing when nobody does', () => {
    expect(of({}).session).not.toBeNull();
    expect(of({}, 'k', { name: null, start: '' } as never)).toEqual({ session: null, prefix: null });
    expect(of({}, 'k', null)).toEqual({ session: null, prefix: null });
  });

  it("is never another key's", () => {
    expect(of({ 'session-id': 'a' }, 'k').session).not.toBe(of({ 'session-id': 'a' }, 'other').session);
    expect(of({}, 'k').prefix).not.toBe(of({}, 'other').prefix);
  });

  it('is not its secret: what is remembered is a hash', () => {
    expect(JSON.stringify(of({ 'session-id': 'secret' }))).not.toMatch(/secret|brief/);
  });
});

describe('vectors', () => {
  it('are the same numbers in both encodings', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true })), (vector) => {
        expect(fromBase64(toBase64(vector))).toEqual(vector);
      }),
    );
  });

  const list = (embedding: unknown) =>
    Buffer.from(JSON.stringify({ object: 'list', data: [{ index: 0, embedding }], model: 'm' }));

  it('stay bytes when they are as wanted, and are changed when they are not', () => {
    const floats = list([0.5, 1]);
    const as = (bytes: Buffer, encoding: 'float' | 'base64') => vectorsAs(bytes, { encoding, dimensions: null });
    expect(as(floats, 'float')).toBe(floats);
    expect(as(floats, 'base64')).toMatchObject({ data: [{ embedding: toBase64([0.5, 1]) }] });
    expect(as(list(toBase64([0.5, 1])), 'float')).toMatchObject({ data: [{ embedding: [0.5, 1] }] });
  });

  it('are cut to the dimensions asked for, with length 1 again, in either encoding', () => {
    const cut = vectorsAs(list([3, 4, 12]), { encoding: 'float', dimensions: 2 });
    expect(cut).toMatchObject({ data: [{ embedding: [0.6, 0.8] }] });
    const base64 = vectorsAs(list([3, 4, 12]), { encoding: 'base64', dimensions: 2 });
    expect(base64).toMatchObject({ data: [{ embedding: toBase64([0.6, 0.8]) }] });
    expect(vectorsAs(list([3, 4]), { encoding: 'float', dimensions: 2 })).toMatchObject({ data: [{ embedding: [3, 4] }] });
  });

  it('cannot be made longer than the model makes them', () => {
    expect(() => vectorsAs(list([3, 4]), { encoding: 'float', dimensions: 3 })).toThrow("the model's vectors have 2");
  });

  it.each(['{"error":"no such route"}', '{}', '{"data":[]}', '{"data":null}', '{"data":[{"embedding":null}]}', 'no JSON'])(
    'are not there in %s',
    (text) => {
      expect(() => vectorsAs(Buffer.from(text), { encoding: 'float', dimensions: null })).toThrow(UnreadableAnswer);
    },
  );
});

describe('a form', () => {
  it('arrives as it was sent, whatever is in it', async () => {
    const bytes = Buffer.from([0, 13, 10, 45, 45, 255]);
    const form = writeForm(
      [
        ['model', 'm'],
        ['prompt', 'a "b"\r\nc'],
      ],
      { name: 'x "y".wav', type: 'audio/wav', bytes },
    );
    const boundary = /^--(\S+)\r\n/.exec(Buffer.from(form).toString('latin1'))?.[1];
    const read = await parseForm(form, `multipart/form-data; boundary=${boundary}`);
    expect(read.get('model')).toBe('m');
    expect(read.get('prompt')).toBe('a "b"\r\nc');
    expect(Buffer.from(await (read.get('file') as File).arrayBuffer())).toEqual(bytes);
  });

  it('cannot be ended by what is in it, not even by a boundary that was seen before', async () => {
    const file = (bytes: Uint8Array) => ({ name: 'a.wav', type: 'audio/wav', bytes });
    const first = Buffer.from(writeForm([['model', 'm']], file(Buffer.from('x')))).toString();
    const boundary = /^--(\S+)\r\n/.exec(first)?.[1] ?? '';
    const smuggled = Buffer.from(
      `\r\n--${boundary}\r\ncontent-disposition: form-data; name="model"\r\n\r\nsecret\r\n--${boundary}--\r\n`,
    );
    const form = Buffer.from(writeForm([['model', 'm']], file(smuggled)));
    const own = /^--(\S+)\r\n/.exec(form.toString('latin1'))?.[1] ?? '';
    expect(own).not.toBe(boundary);
    expect(own.length).toBeLessThanOrEqual(70);
    expect((await parseForm(form, `multipart/form-data; boundary=${own}`)).getAll('model')).toEqual(['m']);
    expect(writeForm([['model', 'm']], file(smuggled))).toEqual(form);
  });

  it.each([
    ['twice', ['model', 'model'], 'model'],
    ['in another case', ['Model'], 'Model'],
    ['with a long s', ['re\u017fponse_format'], 're\u017fponse_format'],
    ['with a quote', ['a"b'], 'a"b'],
    ['with a backslash', ['a\\'], 'a\\'],
  ])('is refused by the name of a field that is there %s', (_, names, param) => {
    const form = new FormData();
    for (const name of names) form.append(name, 'x');
    expect(() => refuseAmbiguousFields(form)).toThrow(expect.objectContaining({ code: 'invalid_value', param }));
  });

  it('may have lists', () => {
    const form = new FormData();
    for (const value of ['word', 'segment']) form.append('timestamp_granularities[]', value);
    expect(() => refuseAmbiguousFields(form)).not.toThrow();
  });

  it.each([[undefined], ['application/json'], ['multipart/form-data']])('is refused when it is none: %s', async (type) => {
    await expect(parseForm(Buffer.from('x'), type)).rejects.toThrow(/form/);
  });
});

describe('remembered items', () => {
  const item = (id: string, text = '') => ({ id, type: 'message', content: text });

  it("are found by the key they were said to, for an hour, and by nobody else's", () => {
    const items = new RememberedItems();
    items.remember('k', [item('a')], 0);
    expect(items.find('k', 'a', 3_599_999)).toMatchObject({ id: 'a' });
    expect(items.find('k', 'a', 3_600_000)).toBeNull();
    expect(items.find('other', 'a', 1)).toBeNull();
    expect(items.find('k', 'b', 1)).toBeNull();
  });

  it('are no more than they may be: the oldest go', () => {
    const items = new RememberedItems({ limitBytes: 250 });
    for (const id of ['a', 'b', 'c', 'd']) items.remember('k', [item(id, 'x'.repeat(60))], 0);
    expect(['a', 'b', 'c', 'd'].map((id) => items.find('k', id, 1) !== null)).toEqual([false, false, true, true]);
    items.remember('k', [item('huge', 'x'.repeat(400))], 0);
    expect(items.find('k', 'huge', 1)).toBeNull();
  });
});
