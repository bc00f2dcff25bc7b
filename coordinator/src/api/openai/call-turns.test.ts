import { describe, expect, it } from 'vitest';
import { CallTurns } from './call-turns.ts';
import type { ChatDelta } from './chat-deltas.ts';

const piece = (index: number, args: string, name: string | null = null): ChatDelta => ({
  kind: 'tool',
  index,
  id: name && `id_${name}`,
  name,
  arguments: args,
});
const text = (words: string): ChatDelta => ({ kind: 'text', text: words });

/** Runs of one kind, as `index:arguments` or words. */
const inTurn = (...deltas: ChatDelta[]): string[] => {
  const turns = new CallTurns();
  return [...deltas.flatMap((delta) => turns.take(delta)), ...turns.finish()].map((delta) =>
    delta.kind === 'tool' ? `${delta.index}:${delta.name ?? ''}:${delta.arguments}` : 'text' in delta ? delta.text : delta.kind,
  );
};

describe('CallTurns', () => {
  it('passes calls on as they come when one follows the other', () => {
    expect(inTurn(text('a'), piece(0, '{', 'f'), piece(0, '}'), piece(1, '', 'g'), piece(1, '{}'))).toEqual([
      'a',
      '0:f:{',
      '0::}',
      '1:g:',
      '1::{}',
    ]);
  });

  it('keeps the pieces of calls together that an engine interleaves', () => {
    expect(inTurn(piece(0, '{"a"', 'f'), piece(1, '{"b"', 'g'), piece(0, ':1}'), piece(1, ':2}'))).toEqual([
      '0:f:{"a"',
      '0:::1}',
      '1:g:{"b"',
      '1:::2}',
    ]);
  });

  it('lets words wait until a call is whole', () => {
    expect(inTurn(piece(0, '{', 'f'), text('a'), text('b'), piece(0, '}'), text('c'))).toEqual(['0:f:{', '0::}', 'ab', 'c']);
  });

  it('waits for the name of a call', () => {
    expect(inTurn(piece(0, ''), text('a'), piece(0, '{}', 'f'))).toEqual(['0:f:{}', 'a']);
  });

  it('says at the end what is still waiting, whole or not', () => {
    expect(inTurn(piece(0, '', 'f'), piece(1, '{', 'g'), piece(2, '{}', 'h'))).toEqual(['0:f:', '1:g:{', '2:h:{}']);
  });

  it('takes no brace inside of a string for the end', () => {
    expect(inTurn(piece(0, '{"a":"}\\"', 'f'), piece(1, '{}', 'g'), piece(0, '"}'))).toEqual([
      '0:f:{"a":"}\\"',
      '0::"}',
      '1:g:{}',
    ]);
  });
});
