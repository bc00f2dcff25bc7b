import fc from 'fast-check';
import { questionIn } from '../../coordinator/src/api/openai/questions.ts';
import { CodedError } from '../../shared/src/errors.ts';
import { campaign } from './campaign.ts';
import { canonical, READERS } from './json-readers.ts';

/** What the coordinator decided: it must be what every engine reads, whatever the client wrote. */
const GRANTED = 'granted:1b';
const LIMITS = { maxTextBytes: 4 * 1024 * 1024 };

/** A key as it is, in other cases, with the letters beyond ASCII that fold into it, or written with an escape. */
const spelled = (key: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(JSON.stringify(key)) },
    { weight: 1, arbitrary: fc.mixedCase(fc.constant(key)).map((text) => JSON.stringify(text)) },
    { weight: 1, arbitrary: fc.constant(JSON.stringify(key.replaceAll('s', 'ſ').replaceAll('k', '\u212a'))) },
    { weight: 1, arbitrary: fc.constant(`"\\u00${key.charCodeAt(0).toString(16)}${key.slice(1)}"`) },
  );

const field = (key: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(spelled(key), value).map(([name, text]) => `${name}:${text}`);

/** Fields in any order, some of them twice. */
const objectOf = (fields: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.array(fc.oneof(...fields), { minLength: 1, maxLength: fields.length + 1 }).map((written) => `{${written.join()}}`);

const json = (value: unknown): string => JSON.stringify(value);
const text = fc.constantFrom('Hi.', 'model', '{"model":"x"}', '').map(json);
const model = fc.constantFrom('allowed:1b', 'secret:7b', '').map(json);
const part = objectOf([
  field('type', fc.constantFrom('text', 'image_url').map(json)),
  field('text', text),
  field('image_url', objectOf([field('url', fc.constantFrom('data:image/png;base64,AA==', 'http://10.0.0.1/x').map(json))])),
]);
const call = objectOf([
  field('id', text),
  field('type', fc.constant('"function"')),
  field('function', objectOf([field('name', text), field('arguments', text)])),
]);
const message = objectOf([
  field('role', fc.constantFrom('user', 'assistant', 'system', 'developer').map(json)),
  field(
    'content',
    fc.oneof(
      text,
      fc.array(part, { maxLength: 2 }).map((parts) => `[${parts.join()}]`),
    ),
  ),
  field(
    'tool_calls',
    fc.array(call, { maxLength: 2 }).map((calls) => `[${calls.join()}]`),
  ),
]);
const messages = fc.array(message, { minLength: 1, maxLength: 3 }).map((list) => `[${list.join()}]`);
const flag = fc.constantFrom('true', 'false', 'null');
const anything = fc.oneof(flag, text, fc.constantFrom('0', '1.0', '12345678901234567891', '[]', '{}'));

const body = objectOf([
  field('model', model),
  field('messages', messages),
  field('messages', messages),
  field('prompt', text),
  field('input', text),
  field('stream', flag),
  field('stream_options', objectOf([field('include_usage', flag)])),
  field('max_tokens', anything),
  field('temperature', anything),
  field('user', text),
]);

/** Throws what is wrong with what would be sent for this body; a body that is refused is sent to nobody. */
const check = (written: string): void => {
  const sent = sentFor(written);
  if (sent === null) return;
  const trees = READERS.map(({ name, read }) => ({ name, tree: read(sent) }));
  const meanings = new Set(trees.map(({ tree }) => (tree === null ? 'refused' : canonical(tree))));
  if (meanings.size !== 1) throw new Error(`read differently: ${sent}`);
  for (const { name, tree } of trees) {
    const read = tree instanceof Map ? tree.get('model') : undefined;
    if (read !== JSON.stringify(GRANTED)) throw new Error(`${name} would run ${String(read)}: ${sent}`);
  }
};

const sentFor = (written: string): string | null => {
  try {
    return Buffer.from(questionIn(Buffer.from(written), LIMITS).question.bodyFor(GRANTED)).toString();
  } catch (error) {
    if (error instanceof CodedError && error.code !== 'internal_error') return null;
    throw error;
  }
};

export const bodies = campaign({
  about: 'what was checked of a request body is what every kind of engine reads',
  runs: 100_000,
  property: () => fc.property(body, check),
});
