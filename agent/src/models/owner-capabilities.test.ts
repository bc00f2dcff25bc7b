import { describe, expect, it } from 'vitest';
import { OwnerCapabilities, withOwnersWord } from './owner-capabilities.ts';
import { model } from './scripted-runtime.ts';

const told = (text: string, id: string, facts: object = {}) =>
  withOwnersWord(OwnerCapabilities.parse(text), [model(id, facts)])[0]?.capabilities;

describe("the owner's word on what models can do", () => {
  it.each([
    ['qwen*=tools,vision', 'Qwen3:8b', ['chat', 'tools', 'vision']],
    [' qwen3 = tools ; other=vision;', 'qwen3:latest', ['chat', 'tools']],
    ['*=tools; qwen3=-tools', 'qwen3', ['chat']],
    ['*=-chat', 'qwen3', []],
    ['a=b=tools', 'a=b', ['chat', 'tools']],
    ['', 'qwen3', ['chat']],
  ])('%j makes %s one for %j', (text, id, capabilities) => {
    expect(told(text, id)).toEqual(capabilities);
  });

  it('gives nothing to what is only in memory', () => {
    expect(told('*=chat,tools', 'gone', { slots: 0, capabilities: [] })).toEqual([]);
  });

  it.each([
    ['tools', 'is no rule'],
    ['=tools', 'is no rule'],
    ['qwen3=magic', '"magic" is nothing that a model can do'],
    ['qwen3=', '"" is nothing that a model can do'],
  ])('%j is refused, with what is wrong', (text, problem) => {
    expect(OwnerCapabilities.safeParse(text).error?.issues[0]?.message).toContain(problem);
  });
});
