import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DataKind,
  decodeAgentMessage,
  decodeCoordinatorMessage,
  decodeData,
  encodeData,
  encodeMessage,
  handshakeTranscript,
  isChunkKind,
} from './codec.ts';

const IS_CHUNK: Record<DataKind, boolean> = { prelude: true, content: true, usage: true, body: false, 'body-end': false };
const KINDS = Object.keys(IS_CHUNK) as DataKind[];

describe('a binary frame', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(fc.constantFrom(...KINDS), fc.nat(0xffffffff), fc.uint8Array({ maxLength: 2_000 }), (kind, stream, bytes) => {
        expect(decodeData(encodeData(kind, stream, bytes))).toEqual({ kind, stream, bytes });
      }),
    );
  });

  it('is read without copying its bytes, also from the middle of a larger buffer', () => {
    const frame = encodeData('content', 9, Uint8Array.of(1, 2, 3));
    const buffer = new Uint8Array([7, 7, 7, ...frame, 7]);
    const decoded = decodeData(buffer.subarray(3, -1));
    expect(decoded).toEqual({ kind: 'content', stream: 9, bytes: Uint8Array.of(1, 2, 3) });
    buffer[8] = 99;
    expect(decoded?.bytes[0]).toBe(99);
  });

  it('copies what it is made of, so that the sender may reuse its buffer', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const frame = encodeData('body', 1, bytes);
    bytes[0] = 99;
    expect(decodeData(frame)?.bytes[0]).toBe(1);
  });

  it('is null when its kind is unknown', () => {
    const known = new Set(KINDS.map((kind) => encodeData(kind, 1, new Uint8Array())[0]));
    expect(known.size).toBe(KINDS.length);
    for (let code = 0; code < 256; code += 1) {
      const frame = decodeData(Uint8Array.of(code, 0, 0, 0, 1, 42));
      if (known.has(code)) expect(frame).toMatchObject({ stream: 1, bytes: Uint8Array.of(42) });
      else expect(frame).toBeNull();
    }
  });

  it.each([0, 1, 4])('of %i bytes is null: it has no whole header', (length) => {
    expect(decodeData(encodeData('content', 1, new Uint8Array()).subarray(0, length))).toBeNull();
  });

  it.each(KINDS)('of kind %s is told apart as answer or request', (kind) => {
    expect(isChunkKind(kind)).toBe(IS_CHUNK[kind]);
  });
});

describe('a control message', () => {
  const accept = { type: 'attempt.accept', attemptId: 'a1' } as const;

  it('loses fields nobody here knows, and is taken all the same', () => {
    const text = JSON.stringify({ ...accept, mood: 'fine', extra: { deep: true } });
    expect(decodeAgentMessage(text)).toEqual({ ok: true, message: accept });
    const goaway = JSON.stringify({ type: 'node.goaway', spreadMs: 5, because: 'upgrade' });
    expect(decodeCoordinatorMessage(goaway)).toEqual({ ok: true, message: { type: 'node.goaway', spreadMs: 5 } });
  });

  it.each<[string, string, RegExp]>([
    ['a type nobody here knows', '{"type":"attempt.teleport","attemptId":"a1"}', /^type: /],
    ['no type', '{"attemptId":"a1"}', /^type: /],
    ['a field of the wrong kind, by its path', '{"type":"attempt.accept","attemptId":7}', /^attemptId: /],
    ['a missing field, by its path', '{"type":"node.status"}', /^snapshot: /],
    ['an id that is too long', JSON.stringify({ ...accept, attemptId: 'x'.repeat(65) }), /^attemptId: /],
    ['a list', '[]', /^message: /],
    ['null', 'null', /^message: /],
    ['no JSON', 'data: {}', /^not JSON$/],
    ['nothing', '', /^not JSON$/],
  ])('is reported as a problem when it has or is %s', (_, text, problem) => {
    const decoded = decodeAgentMessage(text);
    expect(decoded).toMatchObject({ ok: false, problem: expect.stringMatching(problem) });
  });

  it.each([
    ['+/=', true],
    ['a b', false],
    ['', false],
    ['ü', false],
    ['A'.repeat(257), false],
  ])('takes %j for base64: %j', (nonce, ok) => {
    const hello = { type: 'node.hello', protocol: 1, agentVersion: '0.1.0', nodeId: 'n', nonce };
    expect(decodeAgentMessage(JSON.stringify(hello)).ok).toBe(ok);
  });

  it('ends an attempt with a code that only a newer agent knows', () => {
    const text = '{"type":"attempt.fail","attemptId":"a1","code":"gpu_on_fire","detail":"72 °C more than ever"}';
    expect(decodeAgentMessage(text)).toEqual({
      ok: true,
      message: { type: 'attempt.fail', attemptId: 'a1', code: 'internal_error', detail: '72 °C more than ever' },
    });
  });

  it('rejects with a reason that only a newer coordinator knows', () => {
    const text = '{"type":"node.reject","reason":"quota_exceeded","message":"too many nodes","isFinal":true}';
    expect(decodeCoordinatorMessage(text)).toEqual({
      ok: true,
      message: { type: 'node.reject', reason: 'bad_message', message: 'too many nodes', isFinal: true },
    });
  });

  it('is read the same after it was written', () => {
    const start = {
      type: 'attempt.start',
      attemptId: 'a1',
      requestId: 'r1',
      stream: 1,
      route: 'embeddings',
      model: 'm "x" \n €',
      bodyBytes: 0,
      windowBytes: 1,
      deadlines: { firstContentMs: 1, stallMs: 2, totalMs: 3 },
    } as const;
    expect(decodeCoordinatorMessage(encodeMessage(start))).toEqual({ ok: true, message: start });
  });

  it('fills in what an older agent does not count', () => {
    const text =
      '{"type":"attempt.end","attemptId":"a","finishReason":null,"usage":{"promptTokens":1,"completionTokens":2},"timings":null}';
    expect(decodeAgentMessage(text)).toMatchObject({ message: { usage: { cachedTokens: 0 } } });
  });
});

describe('the transcript of a handshake', () => {
  const parts = {
    role: 'node',
    nodeId: 'node_1',
    coordinatorKey: 'KEY',
    agentNonce: 'AAA',
    coordinatorNonce: 'BBB',
    protocol: 1,
  } as const;
  const textOf = (changes: Partial<Parameters<typeof handshakeTranscript>[0]> = {}) =>
    new TextDecoder().decode(handshakeTranscript({ ...parts, ...changes }));

  it('is these bytes and no others: both sides must agree for ever', () => {
    expect(textOf()).toBe('lai-handshake-v1\nnode\nnode_1\nKEY\nAAA\nBBB\n1');
  });

  it('differs when any part differs', () => {
    const changed = [
      { role: 'coordinator' as const },
      { nodeId: 'node_2' },
      { coordinatorKey: 'KEYS' },
      { agentNonce: 'BBB' },
      { coordinatorNonce: 'AAA' },
      { protocol: 2 },
    ];
    expect(new Set([textOf(), ...changed.map(textOf)]).size).toBe(changed.length + 1);
  });
});
