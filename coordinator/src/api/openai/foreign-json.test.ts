import { MessagesRequest } from '@lai/shared/anthropic';
import { OllamaChatRequest } from '@lai/shared/ollama';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chatFromMessages } from '../anthropic/messages-input.ts';
import { chatFromOllama } from '../ollama/input.ts';
import { parseJsonBody } from './body.ts';
import { chatQuestion } from './chat-question.ts';
import { argumentsIn, jsonOf, withText } from './foreign-json.ts';

const WRITTEN = '{"id":12345678901234567891,"b":1.0,"huge":1e400,"2":[1.50],"1":{"__proto__":-0.0},"a":1,"a":2}';
/** Keywords of a schema are read by engines, so none of them is there twice. */
const SCHEMA = '{"type":"object","properties":{"2":{"const":1.0},"1":{},"a":{},"a":{}},"maximum":12345678901234567891}';
const LIMITS = { maxTextBytes: 100_000 };

const sent = (question: ReturnType<typeof chatQuestion>): string => Buffer.from(question.bodyFor('m')).toString();
const messages = (body: string) =>
  sent(chatQuestion(chatFromMessages(parseJsonBody(Buffer.from(body), MessagesRequest, LIMITS).value)));
const ollama = (body: string) =>
  sent(chatQuestion(chatFromOllama(parseJsonBody(Buffer.from(body), OllamaChatRequest, LIMITS).value, true)));

describe("somebody else's JSON", () => {
  it('reaches the engine as it was written: arguments in a history', () => {
    const quoted = JSON.stringify(WRITTEN);
    expect(
      messages(
        `{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":${WRITTEN}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]}]}`,
      ),
    ).toContain(`"arguments":${quoted}`);
    expect(
      ollama(
        `{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":${WRITTEN}}}]},{"role":"tool","tool_name":"f","content":"x"}]}`,
      ),
    ).toContain(`"arguments":${quoted}`);
  });

  it('reaches the engine as it was written: schemas', () => {
    expect(messages(`{"messages":[{"role":"user","content":"x"}],"tools":[{"name":"f","input_schema":${SCHEMA}}]}`)).toContain(
      `"parameters":${SCHEMA}`,
    );
    const body = `{"model":"m","messages":[{"role":"user","content":"x"}],"format":${SCHEMA},"tools":[{"type":"function","function":{"name":"f","parameters":${SCHEMA}}}]}`;
    expect(ollama(body)).toContain(`"schema":${SCHEMA}`);
    expect(ollama(body)).toContain(`"parameters":${SCHEMA}`);
  });

  it('is written as it was read, wherever it stands, and on one line', () => {
    const value = withText(JSON.parse('{"a":1}'), '{\n"a":\r\n1.0}');
    expect(jsonOf({ x: [value], y: '"', z: value })).toBe('{"x":[{ "a": 1.0}],"y":"\\"","z":{ "a": 1.0}}');
    expect(JSON.stringify({ x: value })).toBe('{"x":{"a":1}}');
  });

  it('changes nothing where no text is remembered', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(jsonOf(value)).toBe(JSON.stringify(value));
      }),
    );
  });
});

describe('arguments of a call', () => {
  it.each([
    ['an object', WRITTEN, WRITTEN],
    ['a text that holds one', JSON.stringify(WRITTEN), WRITTEN],
    ['nothing', '', '{}'],
    ['null', 'null', '{}'],
    ['a list', '[1]', '{}'],
    ['a number', '7', '{}'],
    ['a text that holds none', '"x"', '{}'],
    ['half an object', '{"a":', '{}'],
  ])('are an object: %s', (_, text, json) => {
    expect(jsonOf(argumentsIn(text))).toBe(json);
  });
});
