import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { CodedError } from '@lai/shared/errors';
import { CompletionRequest, EmbeddingRequest } from '@lai/shared/openai';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { parseJsonBody, readJsonBody } from './body.ts';
import { scanJson } from './json-scan.ts';
import { keysKnownTo } from './known-keys.ts';

const Anything = z.looseObject({});
const LIMITS = { maxTextBytes: 1_000 };
const MIB = 1024 * 1024;

const parse = (text: string) => parseJsonBody(Buffer.from(text), Anything, { maxTextBytes: 50 * MIB });
/** What a node would get that calls the model M. */
const sent = (text: string, fields: Record<string, unknown> = {}): string =>
  Buffer.from(parse(text).forEngine(fields)('M')).toString();

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
    ['a field that is there', '{"model":"a","n":1}', { n: 2 }, '{"model":"M","n":2}'],
    ['a field that is not there', '{"n":1,"model":"a"}', { stream: true }, '{"stream":true,"n":1,"model":"M"}'],
    ['several, in any order', '{"a":1,"model":"x","c":3}', { c: 30, a: 10 }, '{"a":10,"model":"M","c":30}'],
    ['some that are there and some that are not', '{"a":1}', { a: 2, b: { c: [3] } }, '{"model":"M","b":{"c":[3]},"a":2}'],
    ['nothing but the model', '{"a":1}', {}, '{"model":"M","a":1}'],
    ['the model of an empty object', '{}', {}, '{"model":"M"}'],
    ['the model of an empty object with air in it', ' { } ', {}, '{"model":"M"}'],
    ['whole lists and objects', '{"model":"m","a":[1,{"b":2}],"c":{"d":{}}}', { a: 0, c: null }, '{"model":"M","a":0,"c":null}'],
    ['a key that is written with escapes', '{"\\u006dodel":"a"}', {}, '{"\\u006dodel":"M"}'],
    ['a key with a quote in it', '{"a\\"b":1,"model":"m"}', { 'a"b': 2 }, '{"a\\"b":2,"model":"M"}'],
    ['a key that ends in a backslash', '{"a\\\\":1,"b":2}', { 'a\\': 3 }, '{"model":"M","a\\\\":3,"b":2}'],
    ['nothing inside of other fields', '{"x":{"model":"a"},"model":"a"}', {}, '{"x":{"model":"a"},"model":"M"}'],
    ['nothing inside of strings', '{"x":"{\\"model\\":1,}","model":1}', {}, '{"x":"{\\"model\\":1,}","model":"M"}'],
    ['names that are not ASCII', '{"größe":1,"x":"€"}', { größe: 2 }, '{"model":"M","größe":2,"x":"€"}'],
    ['a value that looks like a pattern', '{"a":1,"model":"$1"}', { a: '$& $1' }, '{"a":"$& $1","model":"M"}'],
    ['no field that is undefined', '{"a":1,"model":"m","b":2}', { a: undefined, c: undefined }, '{"model":"M","b":2}'],
    ['no field that is null', '{"a":null,"model":"m","b" : null , "c":[null]}', {}, '{"model":"M", "c":[null]}'],
  ])('sets %s', (_, before, fields, after) => {
    expect(sent(before, fields)).toBe(after);
  });

  it.each([
    ['numbers as they were written', '{"t":1.0,"big":12345678901234567890,"e":1E+2,"huge":1e400,"tiny":0.10,"minus":-0'],
    ['key order', '{"z":1,"a":2,"10":3,"2":4,"__proto__":5'],
    ['unknown fields', '{"x_mood":"fine","nested":{"deep":[[[]]]}'],
    ['white space', '{ "a" :\t1 ,\r\n "b" : [ 1 , 2 ]  '],
    ['escapes in strings', '{"a":"\\u00fc\\n\\/","b":"\\ud83d\\ude00"'],
    ['braces and quotes in strings', '{"a":"}{][,:\\"\\\\"'],
    ['what belongs to the client, such as equal keys in arguments', '{"arguments":{"k":1,"K":2,"k":3,"Model":4}'],
  ])('leaves %s', (_, start) => {
    expect(sent(`${start},"model":"a"}`)).toBe(`${start},"model":"M"}`);
    expect(sent(`${start}}`)).toBe(`{"model":"M",${start.slice(1)}}`);
  });

  it('says another word for a role, and nothing else anew', () => {
    const text =
      '{"a":1.0,"messages":[ {"role":"developer","content":"developer","n":1.0,"2":0,"1":0} ,{"role" : "d\\u0065veloper"},{"role":"user","x":{"role":"developer"}}]}';
    const body = parse(text).withRole({ from: 'developer', to: 'system' });
    expect(Buffer.from(body.forEngine({})('M')).toString()).toBe(
      '{"model":"M","a":1.0,"messages":[ {"role":"system","content":"developer","n":1.0,"2":0,"1":0} ,{"role" : "system"},{"role":"user","x":{"role":"developer"}}]}',
    );
  });

  const jsonObject = fc.dictionary(fc.stringMatching(/^[a-z]{0,3}$/), fc.jsonValue(), { noNullPrototype: true });
  const air = fc.constantFrom(undefined, 1, '\t', '  ');

  it('means the same as setting the fields on the parsed object', () => {
    fc.assert(
      fc.property(jsonObject, jsonObject, fc.subarray(['stream', 'a']), air, (before, fields, names, space) => {
        const wanted = { ...fields, ...Object.fromEntries(names.map((name) => [name, `new ${name}`])) };
        const shared = Object.fromEntries(names.slice(1).map((name) => [name, { old: name }]));
        const text = JSON.stringify({ arguments: before, ...shared }, null, space);
        expect(JSON.parse(sent(text, wanted))).toEqual({
          ...JSON.parse(text),
          ...JSON.parse(JSON.stringify(wanted)),
          model: 'M',
        });
      }),
      { numRuns: 500 },
    );
  });

  it('can be done for one model after another', () => {
    const bodyFor = parse('{"model":"auto"}').forEngine({});
    expect(['a', 'b'].map((model) => Buffer.from(bodyFor(model)).toString())).toEqual(['{"model":"a"}', '{"model":"b"}']);
  });
});

describe('a key that could be read in two ways', () => {
  const Chat = z.looseObject({ messages: z.array(z.looseObject({ top_secret: z.string().optional() })).optional() });
  const problem = (text: string) => problemOf(text, Chat, { maxTextBytes: MIB });

  it.each([
    ['another case', '{"model":"a","Model":"b"}', 'Model'],
    ['another case alone', '{"Model":"b"}', 'Model'],
    ['a long s', '{"model":"a","\u017ftream":false}', '\u017ftream'],
    ['a Kelvin sign', '{"\u212aeep_alive":0}', '\u212aeep_alive'],
    ['another case behind an escape', '{"\\u004dodel":"b"}', 'Model'],
    ['twice', '{"model":"a","model":"b"}', 'model'],
    ['twice, once with an escape', '{"model":"a","mod\\u0065l":"b"}', 'model'],
    ['twice with one value', '{"model":"a","model":"a"}', 'model'],
    ['twice, though nobody knows it', '{"x_mood":1,"X_mood":2}', 'X_mood'],
    ['inside a message', '{"messages":[{},{"role":"user","Content":"x"}]}', 'messages[1].Content'],
    ['inside a part', '{"messages":[{"content":[{"type":"text","Image_URL":{}}]}]}', 'messages[0].content[0].Image_URL'],
    [
      'inside a call',
      '{"messages":[{"tool_calls":[{"function":{"name":"a","NAME":"b"}}]}]}',
      'messages[0].tool_calls[0].function.NAME',
    ],
    ['inside a tool', '{"tools":[{"function":{"name":"a","Parameters":{}}}]}', 'tools[0].function.Parameters'],
    ['that only the schema names', '{"messages":[{"TOP_SECRET":"x"}]}', 'messages[0].TOP_SECRET'],
    ['inside what no schema looks at', '{"x":{"y":[{"Role":1}]}}', 'x.y[0].Role'],
  ])('is refused by its name: %s', (_, text, param) => {
    expect(problem(text)).toMatchObject({ code: 'invalid_value', param });
    expect(problem(text).message).toContain(param);
  });

  it.each([
    ['a tool named its own parameters', '{"tools":[{"function":{"parameters":{"properties":{"Model":{},"model":{}}}}}]}'],
    ['a call has such arguments', '{"messages":[{"tool_calls":[{"function":{"arguments":{"Model":1,"model":2}}}]}]}'],
    ['a tool use has such an input', '{"messages":[{"content":[{"type":"tool_use","input":{"Name":1,"name":2}}]}]}'],
    ["metadata is the client's", '{"metadata":{"Model":"x","User":"y"}}'],
    ['it is another word altogether', '{"modelName":"a","streamOptions":{},"MAX_TOKENS_TOTAL":1}'],
    ['it is a value', '{"model":"Model","stop":["Stream","STREAM"]}'],
  ])('is none where %s', (_, text) => {
    expect(parseJsonBody(Buffer.from(text), Chat, LIMITS).value).toBeDefined();
  });

  it('is told only of what is JSON', () => {
    expect(problem('{"Model":"a",}').code).toBe('invalid_json');
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
    expect(problem).toMatchObject({ code: 'invalid_value', param: 'messages[0].role' });
    expect(problem.message).toMatch(/^messages\[0\]\.role: /);
    expect(problemOf('7', schema)).toMatchObject({ param: 'body', message: expect.stringContaining('must be a JSON object') });
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
  it('never fails but with a coded error, whatever it is given', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[{}[\]":,\\a1 ]{0,40}$/)), (text) => {
        const isJson = (() => {
          try {
            JSON.parse(text);
            return true;
          } catch {
            return false;
          }
        })();
        const shape = scanJson(text, keysKnownTo(Anything));
        if (isJson) expect(shape).not.toBeNull();
      }),
      { numRuns: 2_000 },
    );
  });

  it('finds the fields of any object as they are written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, ' ', '\t'), (object, space) => {
        const text = JSON.stringify(object, null, space);
        const fields = scanJson(text, keysKnownTo(Anything))?.fields ?? new Map();
        const read = [...fields].map(([key, field]) => [key, JSON.parse(field.text.slice(field.valueAt))]);
        expect(read).toEqual(Object.entries(JSON.parse(text)).map(([key, value]) => [key, value]));
      }),
    );
  });
});

describe('much of something', () => {
  const listOf = (entries: number, entry: string) => `[${Array.from({ length: entries }, () => entry).join()}]`;

  it.each([
    ['messages', `{"messages":${listOf(10_001, '{}')}}`, 'messages'],
    ['parts', `{"messages":[{"content":${listOf(10_001, '{}')}}]}`, 'messages[0].content'],
    ['texts', `{"stop":${listOf(10_001, '""')}}`, 'stop'],
    ['items', `{"input":${listOf(10_001, '{}')}}`, 'input'],
    ['objects and lists', `{"tools":${listOf(10, `{"parameters":{"x":${listOf(10_001, '{}')}}}`)}}`, 'tools'],
  ])('is refused by its name: %s', (_, text, param) => {
    const problem = problemOf(text, Anything, { maxTextBytes: MIB });
    expect(problem).toMatchObject({ code: 'invalid_value', param });
    expect(problem.message).toContain("This limit is Lai's own.");
  });

  it('is no matter with tokens and texts for vectors', () => {
    const limits = { maxTextBytes: MIB };
    expect(parseJsonBody(Buffer.from(`{"input":${listOf(300_000, '1')}}`), EmbeddingRequest, limits).value).toBeDefined();
    expect(parseJsonBody(Buffer.from(`{"prompt":[${listOf(300_000, '1')}]}`), CompletionRequest, limits).value).toBeDefined();
  });

  it('names the first entry that is none of them', () => {
    const problem = problemOf(`{"input":[${'1,'.repeat(20)}"a",2.5]}`, EmbeddingRequest);
    expect(problem).toMatchObject({ code: 'invalid_value', param: 'input[20]' });
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

  const packed: [string, (text: string) => Buffer][] = [
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', (text) => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ['zstd', zstdCompressSync],
    ['identity', Buffer.from],
  ];

  it.each(packed)('is decoded: %s', async (coding, pack) => {
    expect(await send({ 'content-encoding': coding }, [pack('{"a":"ü"}')])).toBe('{"a":"ü"}');
  });

  it.each(packed.slice(0, -1))('is refused when it swells beyond the limit: %s', async (coding, pack) => {
    const bomb = pack(`{"a":"${'"image_url"'.repeat(2 * MIB)}"}`);
    expect(bomb.length).toBeLessThan(MIB);
    expect(await send({ 'content-encoding': coding }, [bomb])).toBe('body_too_large');
    // Text has the same limit as when it comes as it is.
    expect(await send({ 'content-encoding': coding }, [pack(JSON.stringify({ a: 'x'.repeat(1_000) }))])).toBe('body_too_large');
  });

  it.each([
    ['compress', 'unsupported_media_type'],
    ['gzip, gzip', 'unsupported_media_type'],
    ['constructor', 'unsupported_media_type'],
    ['gzip', 'invalid_value'],
    ['zstd', 'invalid_value'],
  ])('of coding %j that is something else: %s', async (coding, code) => {
    expect(await send({ 'content-encoding': coding }, ['{"a":1}'])).toBe(code);
  });
});
