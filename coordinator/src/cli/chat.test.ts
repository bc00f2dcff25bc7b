import { describe, expect, it } from 'vitest';
import { readTyped } from './chat.ts';

describe('readTyped', () => {
  it.each([
    ['', { kind: 'nothing' }],
    ['  hello there ', { kind: 'say', text: 'hello there' }],
    ['/model qwen3:8b', { kind: 'model', model: 'qwen3:8b' }],
    ['/compare a b', { kind: 'compare', models: ['a', 'b'] }],
    ['/new', { kind: 'new' }],
    ['/exit', { kind: 'exit' }],
    ['/quit', { kind: 'exit' }],
    ['/help', { kind: 'help' }],
  ])('reads %j', (line, typed) => {
    expect(readTyped(line)).toEqual(typed);
  });

  it.each(['/model', '/model a b', '/compare a', '/compare a b c d e', '/nonsense'])('says what is wrong with %j', (line) => {
    expect(readTyped(line)).toMatchObject({ kind: 'wrong', sentence: expect.stringContaining('/') });
  });
});
