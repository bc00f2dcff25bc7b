import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CodedError } from '@lai/shared/errors';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { parseJsonBody, readJsonBody, scanJson } from './body.ts';

const Anything = z.looseObject({});
const LIMITS = { maxTextBytes: 1_000 };
const MIB = 1024 * 1024;

const parse = (text: string) => parseJsonBody(Buffer.from(text), Anything, { maxTextBytes: 50 * MIB });
const spliced = (text: string, fields: Record<string, unknown>): string => Buffer.from(parse(text).with(fields)).toString();

const problemOf = (bytes: Buffer | string, schema: z.ZodType = Anything, limits = LIMITS): CodedError => {
  try {
    parseJsonBody(Buffer.from(bytes), schema, limits);
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error('it was taken');
};

describe('changing a body', () => {
  it.each<[string, string, Record<string, unknown>, string]>([
    ['a field that is there', '{"model":"a","n":1}', { model: 'b' }, '{"model":"b","n":1}'],
    ['a field that is not there', '{"n":1}', { stream: true }, '{"stream":true,"n":1}'],
    ['several, in any order', '{"a":1,"b":2,"c":3}', { c: 30, a: 10 }, '{"a":10,"b":2,"c":30}'],
    ['some that are there and some that are not', '{"a":1}', { a: 2, b: { c: [3] } }, '{"b":{"c":[3]},"a":2}'],
    ['the only field', '{"model":"a"}', { model: 'b' }, '{"model":"b"}'],
    ['nothing', '{"a":1}', {}, '{"a":1}'],
    ['an empty object', '{}', { model: 'b' }, '{"model":"b"}'],
    ['an empty object with air in it', ' { } ', { model: 'b' }, ' {"model":"b" } '],
    ['whole lists and objects', '{"a":[1,{"b":2}],"c":{"d":{}}}', { a: 0, c: null }, '{"a":0,"c":null}'],
    ['the last of two equal keys, which is the one that counts', '{"m":"a","m":"b"}', { m: 'c' }, '{"m":"a","m":"c"}'],
    ['a key that is written with escapes', '{"\\u006dodel":"a"}', { model: 'b' }, '{"\\u006dodel":"b"}'],
    ['a key with a quote in it', '{"a\\"b":1}', { 'a"b': 2 }, '{"a\\"b":2}'],
    ['a key that ends in a backslash', '{"a\\\\":1,"b":2}', { 'a\\': 3 }, '{"a\\\\":3,"b":2}'],
    ['nothing inside of other fields', '{"x":{"model":"a"},"model":"a"}', { model: 'b' }, '{"x":{"model":"a"},"model":"b"}'],
    ['nothing inside of strings', '{"x":"{\\"model\\":1,}","model":1}', { model: 2 }, '{"x":"{\\"model\\":1,}","model":2}'],
    ['names that are not ASCII', '{"größe":1,"x":"€"}', { größe: 2 }, '{"größe":2,"x":"€"}'],
    ['a value that looks like a pattern', '{"a":1}', { a: '$& $1' }, '{"a":"$& $1"}'],
  ])('sets %s', (_, before, fields, after) => {
    expect(spliced(before, fields)).toBe(after);
  });

  it.each([
    ['numbers as they were written', '{"t":1.0,"big":12345678901234567890,"e":1E+2,"tiny":0.10,"minus":-0'],
    ['key order', '{"z":1,"a":2,"10":3,"2":4'],
    ['unknown fields', '{"x_mood":"fine","nested":{"deep":[[[]]]}'],
    ['white space', '{ "a" :\t1 ,\r\n "b" : [ 1 , 2 ]  '],
    ['escapes in strings', '{"a":"\\u00fc\\n\\/","b":"\\ud83d\\ude00"'],
    ['braces and quotes in strings', '{"a":"}{][,:\\"\\\\"'],
    ['equal keys in nested objects', '{"a":{"k":1,"k":2}'],
  ])('leaves %s', (_, start) => {
    expect(spliced(`${start},"model":"a"}`, { model: 'b' })).toBe(`${start},"model":"b"}`);
    expect(spliced(`${start}}`, { model: 'b' })).toBe(`{"model":"b",${start.slice(1)}}`);
  });

  it('leaves a span that is replaced without the air around it', () => {
    expect(JSON.parse(spliced('{ "model" : "a" , "n" : 1 }', { model: 'b' }))).toEqual({ model: 'b', n: 1 });
  });

  const jsonObject = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
  const air = fc.constantFrom(undefined, 1, '\t', '  ');

  it('means the same as setting the fields on the parsed object', () => {
    fc.assert(
      fc.property(jsonObject, jsonObject, fc.subarray(['model', 'stream', 'a']), air, (before, fields, names, space) => {
        const wanted = { ...fields, ...Object.fromEntries(names.map((name) => [name, `new ${name}`])) };
        const shared = Object.fromEntries(names.slice(1).map((name) => [name, { old: name }]));
        const text = JSON.stringify({ ...before, ...shared }, null, space);
        expect(JSON.parse(spliced(text, wanted))).toEqual({ ...JSON.parse(text), ...JSON.parse(JSON.stringify(wanted)) });
      }),
      { numRuns: 500 },
    );
  });

  it('can be done again and again, each time from what the client sent', () => {
    const body = parse('{"model":"auto"}');
    expect(Buffer.from(body.with({ model: 'a' })).toString()).toBe('{"model":"a"}');
    expect(Buffer.from(body.with({ model: 'b' })).toString()).toBe('{"model":"b"}');
  });
});

describe('reading a body', () => {
  it('gives what the schema read, unknown fields included', () => {
    expect(parse('{"model":"m","x":1}').value).toEqual({ model: 'm', x: 1 });
  });

  it.each([
    ['half an object', '{"a":', 'invalid_json'],
    ['nothing', '', 'invalid_json'],
    ['a comma too many', '{"a":1,}', 'invalid_json'],
    ['single quotes', "{'a':1}", 'invalid_json'],
    ['something behind it', '{"a":1} x', 'invalid_json'],
    ['a list', '[]', 'invalid_value'],
    ['null', 'null', 'invalid_value'],
    ['a string', '"{}"', 'invalid_value'],
  ])('refuses %s', (_, text, code) => {
    expect(problemOf(text).code).toBe(code);
  });

  it('says where the JSON broke, and never quotes it: it may be a prompt', () => {
    const { message } = problemOf('{"messages":[{"content":"my secret" oops}]}');
    expect(message).toMatch(/at character \d+/);
    expect(message).not.toMatch(/secret|oops/);
  });

  it('names the field that is wrong', () => {
    const schema = z.looseObject({ messages: z.array(z.object({ role: z.string() })) });
    const problem = problemOf('{"messages":[{"role":7}]}', schema);
    expect(problem).toMatchObject({ code: 'invalid_value', param: 'messages.0.role' });
    expect(problem.message).toMatch(/^messages\.0\.role: /);
    expect(problemOf('7', schema)).toMatchObject({ param: null, message: expect.stringContaining('must be a JSON object') });
  });

  it('counts bytes, not characters, against the limit for text', () => {
    const text = (length: number) => JSON.stringify({ a: 'ü'.repeat(length) });
    expect(parseJsonBody(Buffer.from(text(496)), Anything, LIMITS).value).toBeDefined();
    expect(Buffer.from(text(496))).toHaveLength(1_000);
    expect(problemOf(text(497)).code).toBe('body_too_large');
    expect(problemOf(text(497)).message).toContain('larger than the 1000 bytes');
    expect(problemOf('x'.repeat(4 * MIB + 1), Anything, { maxTextBytes: 4 * MIB }).message).toContain('larger than the 4 MiB');
  });

  it('lets images be larger than text', () => {
    const image = JSON.stringify({ messages: [{ content: [{ type: 'image_url', image_url: { url: 'A'.repeat(2_000) } }] }] });
    expect(parseJsonBody(Buffer.from(image), Anything, LIMITS).value).toBeDefined();
  });

  it.each([
    ['lists', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('takes %s 64 levels deep and refuses more, however many', (_, open, close) => {
    const nested = (levels: number) => `{"a":${open.repeat(levels - 1)}${open === '[' ? '' : '1'}${close.repeat(levels - 1)}}`;
    expect(parse(nested(64)).value).toBeDefined();
    for (const levels of [65, 100_000])
      expect(problemOf(nested(levels), Anything, { maxTextBytes: MIB }).code).toBe('body_too_deep');
  });

  it('refuses depth that is never closed, too', () => {
    expect(problemOf('['.repeat(100_000), Anything, { maxTextBytes: MIB }).code).toBe('body_too_deep');
  });
});

describe('scanning', () => {
  it('never fails, whatever it is given', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[{}[\]":,\\a ]{0,40}$/)), (text) => {
        expect(scanJson(Buffer.from(text)).depth).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('counts the depth of what is open at once', () => {
    const depthOf = (text: string) => scanJson(Buffer.from(text)).depth;
    expect(['1', '{}', '{"a":[]}', '[[],[],[[]]]', '{"a":"[[[["}'].map(depthOf)).toEqual([0, 1, 2, 3, 1]);
  });
});

describe('a body from the network', () => {
  /** Sends a request to a door that only reads its body; answers with the code of the problem, or with the body. */
  const send = async (headers: Record<string, string>, pieces: readonly (string | Buffer)[]): Promise<string> => {
    const door = createServer(async (request, response) => {
      const answer = await readJsonBody(request, Anything, LIMITS).then(
        ({ value }) => JSON.stringify(value),
        (error) => (error instanceof CodedError ? error.code : String(error)),
      );
      response.writeHead(200, { connection: 'close' }).end(answer);
    });
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      door.closeAllConnections();
      door.close();
    });
    return new Promise((resolve, reject) => {
      const { port } = door.address() as AddressInfo;
      const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', headers }, async (response) => {
        let text = '';
        for await (const piece of response as AsyncIterable<Buffer>) text += piece.toString();
        resolve(text);
        request.destroy();
      });
      request.on('error', reject);
      for (const piece of pieces) request.write(piece);
      request.end();
    });
  };

  it('is put together from its pieces, cut inside a character as well', async () => {
    const bytes = Buffer.from('{"a":"ü€😀"}');
    const pieces = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    expect(await send({ 'content-type': 'application/json' }, pieces)).toBe('{"a":"ü€😀"}');
  });

  it.each([
    ['application/json', '{}'],
    ['Application/JSON; charset=utf-8', '{}'],
    ['text/plain', 'unsupported_media_type'],
    ['multipart/form-data; boundary=x', 'unsupported_media_type'],
    ['', 'unsupported_media_type'],
  ])('of type %j: %s', async (type, answer) => {
    expect(await send({ 'content-type': type }, ['{}'])).toBe(answer);
  });

  it('needs no type', async () => {
    expect(await send({}, ['{}'])).toBe('{}');
  });

  it('is refused by its announced length before it is read', async () => {
    expect(await send({ 'content-length': String(20 * MIB + 1) }, ['{'])).toBe('body_too_large');
  });

  it('is refused when it turns out to be too long, whatever it holds', async () => {
    const piece = Buffer.alloc(MIB, '"image_url"');
    expect(
      await send(
        {},
        Array.from({ length: 21 }, () => piece),
      ),
    ).toBe('body_too_large');
  });
});
