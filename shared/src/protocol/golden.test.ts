import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { AgentMessage } from './agent-message.ts';
import { type DataKind, decodeAgentMessage, decodeCoordinatorMessage, decodeData, encodeData, encodeMessage } from './codec.ts';
import { CoordinatorMessage } from './coordinator-message.ts';
import { MIN_PROTOCOL, PROTOCOL } from './version.ts';

/**
 * What went over the wire in each version, kept for ever: whoever changes the contract sees here what peers that are out there send.
 * A new message type needs a fixture; a changed fixture is a break and bumps the version instead.
 */
const FOLDER = path.join(import.meta.dirname, '__fixtures__');
const FRAMES = 'data-frames.json';
const versions = Array.from({ length: PROTOCOL - MIN_PROTOCOL + 1 }, (_, index) => MIN_PROTOCOL + index);

const read = (version: number, file: string): unknown => JSON.parse(readFileSync(path.join(FOLDER, `v${version}`, file), 'utf8'));

const typesOf = (union: { options: readonly { shape: { type: { value: string } } }[] }): string[] =>
  union.options.map((option) => option.shape.type.value);
const agentTypes = typesOf(AgentMessage);
const coordinatorTypes = typesOf(CoordinatorMessage);

describe.each(versions)('protocol %i', (version) => {
  it('has a fixture for every message type, and no other', () => {
    const files = readdirSync(path.join(FOLDER, `v${version}`)).filter((file) => file !== FRAMES);
    expect(files.sort()).toEqual([...agentTypes, ...coordinatorTypes].map((type) => `${type}.json`).sort());
  });

  describe.each([
    { sender: 'agent', types: agentTypes, decode: decodeAgentMessage, decodeWrong: decodeCoordinatorMessage },
    { sender: 'coordinator', types: coordinatorTypes, decode: decodeCoordinatorMessage, decodeWrong: decodeAgentMessage },
  ])('from the $sender', ({ types, decode, decodeWrong }) => {
    it.each(types)('%s is read whole and written back the same', (type) => {
      const golden = read(version, `${type}.json`);
      const decoded = decode(JSON.stringify(golden));
      expect(decoded).toEqual({ ok: true, message: golden });
      if (decoded.ok) expect(encodeMessage(decoded.message)).toBe(JSON.stringify(golden));
    });

    it.each(types)('%s is not taken from the wrong side', (type) => {
      expect(decodeWrong(JSON.stringify(read(version, `${type}.json`)))).toMatchObject({ ok: false });
    });
  });

  it('has binary frames of every kind, read and written back the same', () => {
    const frames = read(version, FRAMES) as { kind: DataKind; stream: number; text: string; hex: string }[];
    const answered: Record<DataKind, boolean> = { prelude: false, content: false, usage: false, body: false, 'body-end': false };
    for (const { kind, stream, text, hex } of frames) {
      answered[kind] = true;
      const bytes = new TextEncoder().encode(text);
      expect(decodeData(Uint8Array.from(Buffer.from(hex, 'hex')))).toEqual({ kind, stream, bytes });
      expect(Buffer.from(encodeData(kind, stream, bytes)).toString('hex')).toBe(hex);
    }
    expect(Object.values(answered)).not.toContain(false);
  });
});
