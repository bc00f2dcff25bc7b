import fc from 'fast-check';
import { CodedError } from '../../shared/src/errors.ts';
import { campaign } from './campaign.ts';
import { canonical, READERS } from './json-readers.ts';
import { SURFACES } from './surfaces.ts';

/** What the coordinator decided: it must be what every engine reads, whatever the client wrote. */
const GRANTED = 'granted:1b';
/** Keys under which nothing means anything to an engine. */
const CLIENTS_OWN: ReadonlySet<string> = new Set(['properties']);

/** A key as it is; rarely in another case, with the letters beyond ASCII that fold into it, or written with an escape. */
const spelled = (key: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 60, arbitrary: fc.constant(JSON.stringify(key)) },
    { weight: 1, arbitrary: fc.mixedCase(fc.constant(key)).map((text) => JSON.stringify(text)) },
    { weight: 1, arbitrary: fc.constant(JSON.stringify(key.replaceAll('s', 'ſ').replaceAll('k', '\u212a'))) },
    { weight: 1, arbitrary: fc.constant(`"\\u00${key.charCodeAt(0).toString(16)}${key.slice(1)}"`) },
  );

const field = (key: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(spelled(key), value).map(([name, text]) => `${name}:${text}`);

/** Most of the fields, in any order, rarely one of them twice. */
const objectOf = (fields: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.tuple(...fields.map((each) => fc.option(each, { freq: 4, nil: null }))),
      fc.oneof({ weight: 15, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.oneof(...fields) }),
      fc.nat(fields.length),
    )
    .map(([written, again, from]) => {
      const all = [...written.slice(from), ...written.slice(0, from), again].filter((each) => each !== null);
      return `{${all.join()}}`;
    });

const json = (value: unknown): string => JSON.stringify(value);
const text = fc.constantFrom('Hi.', 'model', '{"model":"x"}', '').map(json);
const model = fc.constantFrom('allowed:1b', 'secret:7b', '').map(json);
const part = objectOf([
  fc.constantFrom('"type":"text"', '"type":"image_url"', '"type":"input_text"'),
  field('text', text),
  field('image_url', objectOf([field('url', fc.constantFrom('data:image/png;base64,AA==', 'http://10.0.0.1/x').map(json))])),
]);
const call = objectOf([
  field('id', text),
  field('type', fc.constant('"function"')),
  field('function', objectOf([field('name', text), field('arguments', text)])),
]);
const message = objectOf([
  fc.constantFrom('user', 'assistant', 'system', 'developer').map((role) => `"role":"${role}"`),
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

const tool = objectOf([
  field('type', fc.constant('"function"')),
  field('name', text),
  field('function', objectOf([field('name', text), field('parameters', fc.constantFrom('{"properties":{"Model":{}}}', '{}'))])),
  field('input_schema', fc.constant('{"type":"object","properties":{"a":{},"A":{}}}')),
]);
const options = objectOf([field('temperature', anything), field('seed', anything), field('num_predict', anything)]);

const written = objectOf([
  field('model', model),
  field('messages', messages),
  field('prompt', text),
  field('input', fc.oneof(text, messages)),
  field('stream', flag),
  field('stream_options', objectOf([field('include_usage', flag)])),
  field('max_tokens', fc.constantFrom('1', '0', 'null')),
  field('temperature', fc.constantFrom('0', '1.0', '1e-1')),
  field('x_mood', anything),
  field(
    'tools',
    fc.array(tool, { maxLength: 2 }).map((tools) => `[${tools.join()}]`),
  ),
  field('options', options),
]);

export const asked = fc.record({ surface: fc.constantFrom(...Object.keys(SURFACES)), body: written });

interface Asked {
  readonly surface: string;
  readonly body: string;
}

/** Throws what is wrong with what would be sent for this body; a body that is refused is sent to nobody. */
const check = (asked: Asked): void => {
  const sent = sentFor(asked);
  if (sent === null) return;
  const trees = READERS.map(({ name, read }) => ({ name, tree: read(sent) }));
  const meanings = new Set(trees.map(({ tree }) => (tree === null ? 'refused' : canonical(tree, CLIENTS_OWN))));
  if (meanings.size !== 1) throw new Error(`read differently: ${sent}`);
  for (const { name, tree } of trees) {
    const read = tree instanceof Map ? tree.get('model') : undefined;
    if (read !== JSON.stringify(GRANTED)) throw new Error(`${name} would run ${String(read)}: ${sent}`);
  }
};

export const sentFor = ({ surface, body }: Asked): string | null => {
  try {
    return Buffer.from(SURFACES[surface]?.(Buffer.from(body)).bodyFor(GRANTED) ?? []).toString();
  } catch (error) {
    if (error instanceof CodedError && error.code !== 'internal_error') return null;
    throw error;
  }
};

export const bodies = campaign({
  about: 'what was checked of a request body is what every kind of engine reads',
  runs: 100_000,
  property: () => fc.property(asked, check),
});
