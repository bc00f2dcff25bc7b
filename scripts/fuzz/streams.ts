import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { StreamScanner } from '../../agent/src/attempts/stream-scanner.ts';
import { MessageComposer } from '../../coordinator/src/api/anthropic/messages-output.ts';
import { OllamaComposer } from '../../coordinator/src/api/ollama/output.ts';
import { ChatDeltas } from '../../coordinator/src/api/openai/chat-deltas.ts';
import { chatCollector } from '../../coordinator/src/api/openai/collect-chat.ts';
import { ResponseComposer } from '../../coordinator/src/api/openai/responses-output.ts';
import { Normaliser } from '../../shared/src/answer-normaliser.ts';
import { ResponseRequest } from '../../shared/src/responses.ts';
import { campaign } from './campaign.ts';
import { type DrawnStream, drawnStream, piecesOf } from './drawn-streams.ts';
import { readByReference, type SaidChoice } from './reference-reader.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a client is given
type Any = any;

interface Heard {
  readonly finish: string | null;
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly (readonly [name: string, args: string])[];
}

const relay = (pieces: readonly Buffer[]) => {
  const scanner = new StreamScanner(new Normaliser());
  const sent = pieces.flatMap((piece) => scanner.push(piece));
  const { pieces: last, ending } = scanner.finish();
  return { sent: [...sent, ...last].map(({ bytes }) => bytes), isComplete: ending.kind === 'complete' };
};

/** As a strict client reads a stream: one line of JSON per event, every field there. */
const streamed = (sent: readonly Uint8Array[]): Map<number, Heard> => {
  const choices = new Map<number, SaidChoice>();
  for (const event of Buffer.concat(sent).toString().split('\n\n').slice(0, -1)) {
    if (!event.startsWith('data: ') || event.includes('\n')) throw new Error(`not one line of data: ${event}`);
    const chunk: Any = JSON.parse(event.slice(6));
    for (const { index, delta, finish_reason } of chunk.choices) {
      const choice = choices.get(index) ?? { text: '', reasoning: '', finish: null, calls: new Map() };
      choices.set(index, choice);
      choice.text += delta.content ?? '';
      choice.reasoning += delta.reasoning_content ?? '';
      for (const call of delta.tool_calls ?? []) {
        const known = choice.calls.get(call.index) ?? { name: '', arguments: '' };
        if (known.name === '' && (!call.id || call.type !== 'function')) throw new Error('a call begins without its id or type');
        choice.calls.set(call.index, known);
        known.name += call.function.name ?? '';
        known.arguments += call.function.arguments;
      }
      choice.finish = finish_reason ?? choice.finish;
    }
  }
  return new Map([...choices].map(([index, choice]) => [index, heardOf(choice)]));
};

const heardOf = ({ text, reasoning, finish, calls }: SaidChoice): Heard => {
  const keys = [...calls.keys()];
  if (keys.every((key) => typeof key === 'number')) keys.sort((a, b) => Number(a) - Number(b));
  const ordered = keys.map((key) => calls.get(key)).filter((call) => call !== undefined);
  return { text, reasoning, finish, calls: ordered.map((call) => [call.name, call.arguments]) };
};

const collected = (sent: readonly Uint8Array[]): Map<number, Heard> => {
  const collector = chatCollector();
  for (const bytes of sent) collector.push(bytes);
  const { choices }: Any = collector.finish();
  return new Map(
    choices.map(({ index, message, finish_reason }: Any) => [
      index,
      {
        text: message.content ?? '',
        reasoning: message.reasoning_content ?? '',
        finish: finish_reason,
        calls: (message.tool_calls ?? []).map((call: Any) => [call.function.name, call.function.arguments]),
      },
    ]),
  );
};

/** What the surfaces in other words say of the first choice; their calls are ordered by when they begin. */
const surfaces = (sent: readonly Uint8Array[]): Record<string, Omit<Heard, 'finish'>> => {
  const message = new MessageComposer({ model: 'm', inputTokens: 1 });
  const ollama = new OllamaComposer({ kind: 'chat', model: 'm', receivedAtMs: 0 });
  const request = ResponseRequest.parse({ input: 'x' });
  const response = new ResponseComposer({ request, model: 'm', offered: new Map(), createdAtSeconds: 0 });
  const deltas = new ChatDeltas();
  const all = [...sent.flatMap((bytes) => deltas.push(bytes)), ...deltas.finish()];
  for (const composer of [message, ollama, response]) for (const delta of all) composer.take(delta);
  const blocks: Any[] = message.complete().message['content'] as Any[];
  const items: Any[] = response.complete().response['output'] as Any[];
  const line: Any = ollama.whole({ kind: 'end', finishReason: 'stop', usage: null, timings: null })['message'];
  const join = (list: Any[], of: (entry: Any) => string) => list.map(of).join('');
  const ofType = (list: Any[], type: string) => list.filter((entry) => entry.type === type);
  return {
    messages: {
      text: join(ofType(blocks, 'text'), (block) => block.text),
      reasoning: join(ofType(blocks, 'thinking'), (block) => block.thinking),
      calls: ofType(blocks, 'tool_use').map((block) => [block.name, JSON.stringify(block.input)]),
    },
    responses: {
      text: join(ofType(items, 'message'), (item) => join(item.content, (part) => part.text)),
      reasoning: join(ofType(items, 'reasoning'), (item) => join(item.content, (part) => part.text)),
      calls: ofType(items, 'function_call').map((item) => [item.name, item.arguments]),
    },
    ollama: {
      text: line.content,
      reasoning: line.thinking ?? '',
      calls: (line.tool_calls ?? []).map((call: Any) => [call.function.name, JSON.stringify(call.function.arguments)]),
    },
  };
};

const same = (what: string, got: unknown, wanted: unknown): void => {
  if (!isDeepStrictEqual(got, wanted))
    throw new Error(`${what}: ${JSON.stringify(got)}, the reference: ${JSON.stringify(wanted)}`);
};

const objectText = (args: string): string => {
  try {
    const value: unknown = JSON.parse(args === '' ? '{}' : args);
    return JSON.stringify(typeof value === 'object' && !Array.isArray(value) ? (value ?? {}) : {});
  } catch {
    return '{}';
  }
};

const byName = (calls: Heard['calls']) => [...calls].sort(([a], [b]) => a.localeCompare(b));

export const checkStream = (drawn: DrawnStream): void => {
  const pieces = piecesOf(drawn);
  const reference = readByReference(Buffer.concat(pieces));
  const { sent, isComplete } = relay(pieces);
  same('the verdict', isComplete, reference.isComplete);
  if (!isComplete) return;
  const wanted = new Map([...reference.choices].map(([index, choice]) => [index, heardOf(choice)]));
  const sorted = (choices: Map<number, Heard>) => [...choices].sort(([a], [b]) => a - b);
  same('streamed', sorted(streamed(sent)), sorted(wanted));
  same('collected', sorted(collected(sent)), sorted(wanted));
  const first = wanted.get(0);
  if (!first) return;
  for (const [surface, { text, reasoning, calls }] of Object.entries(surfaces(sent))) {
    const isText = surface === 'responses';
    same(`${surface}, text`, [text, reasoning], [first.text, first.reasoning]);
    same(
      `${surface}, calls`,
      byName(calls),
      byName(first.calls.map(([name, args]) => [name, isText ? args || '{}' : objectText(args)])),
    );
  }
};

export const streams = campaign({
  about: 'an answer is the same streamed, collected, in other words and read by a reference',
  runs: 20_000,
  property: () => fc.property(drawnStream, checkStream),
});
