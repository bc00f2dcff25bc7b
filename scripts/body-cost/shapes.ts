/** Bodies of any size that make a surface do much of one thing. */
export interface Shape {
  readonly name: string;
  readonly surfaces: readonly string[];
  /** About so many bytes. */
  body(bytes: number): string;
}

const ALL = ['chat', 'completions', 'embeddings', 'messages', 'responses', 'ollamaChat', 'ollamaGenerate'];
const TALKING = ['chat', 'messages', 'responses', 'ollamaChat'];

/** `item` again and again between two ends, until the body is as long as it should be. */
const repeated = (
  name: string,
  surfaces: readonly string[],
  { before, item, after, between = ',' }: { before: string; item: string; after: string; between?: string },
): Shape => ({
  name,
  surfaces,
  body: (bytes) => {
    const room = bytes - before.length - after.length;
    const count = Math.max(1, Math.floor(room / (Buffer.byteLength(item) + between.length)));
    return before + Array.from({ length: count }, () => item).join(between) + after;
  },
});

const FIELDS = '"model":"m","messages":[{"role":"user","content":"a"}],"prompt":"a","input":"a","max_tokens":5,"stream":true';
const image = '{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}';
const anthropicImage = '{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}';

const text = (name: string, letters: string): Shape[] => [
  repeated(`a long text: ${name}`, TALKING, {
    ...{ before: '{"messages":[{"role":"user","content":"', item: letters, between: '' },
    after: '"}],"input":"a","model":"m"}',
  }),
  repeated(`a long prompt: ${name}`, ['completions', 'embeddings', 'responses', 'ollamaGenerate'], {
    ...{ before: '{"model":"m","prompt":"a', item: letters, between: '', after: '","input":"a"}' },
  }),
  repeated(`a long input: ${name}`, ['embeddings', 'responses'], {
    ...{ before: '{"model":"m","input":"a', item: letters, between: '', after: '"}' },
  }),
];

const list = (name: string, key: string, item: string, surfaces: readonly string[], first = ''): Shape =>
  repeated(name, surfaces, { before: `{"model":"m","${key}":[${first}`, item, after: '],"input2":"a"}' });

const messages = (name: string, item: string, surfaces = ['chat', 'messages', 'ollamaChat'], first = '') =>
  list(`messages: ${name}`, 'messages', item, surfaces, first);
const items = (name: string, item: string, first = '') => list(`items: ${name}`, 'input', item, ['responses'], first);
const parts = (name: string, item: string, surfaces: readonly string[]): Shape =>
  repeated(`parts: ${name}`, surfaces, {
    ...{ before: '{"model":"m","messages":[{"role":"user","content":[', item, after: ']}]}' },
  });
const tools = (name: string, item: string, surfaces: readonly string[]): Shape =>
  repeated(`tools: ${name}`, surfaces, { before: `{${FIELDS},"tools":[`, item, after: ']}' });

export const SHAPES: readonly Shape[] = [
  ...text('ASCII', 'The quick brown fox. '),
  ...text('wide', '很长的文字'),
  ...text('escapes', '\\n\\"\\u00e9'),
  ...text('backslashes', '\\\\'),
  messages('user', '{"role":"user","content":"a"}'),
  messages('system', '{"role":"system","content":"a"}'),
  messages('developer', '{"role":"developer","content":"a"}', ['chat', 'messages']),
  messages('user and system in turn', '{"role":"user","content":"a"},{"role":"system","content":"b"}'),
  messages('system after an image', '{"role":"system","content":"a"}', ['chat'], `{"role":"user","content":[${image}]},`),
  messages(
    'system after an image',
    '{"role":"system","content":"a"}',
    ['messages'],
    `{"role":"user","content":[${anthropicImage}]},`,
  ),
  messages('calls', '{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"f","arguments":{"a":1}}}]}', [
    'ollamaChat',
  ]),
  messages('tool results', '{"role":"tool","content":"a","tool_name":"f"}', ['chat', 'ollamaChat']),
  messages(
    'calls and results',
    '{"role":"assistant","content":[{"type":"thinking","thinking":"t"},{"type":"tool_use","id":"c","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"x"}]}',
    ['messages'],
  ),
  messages(
    'calls and results',
    '{"role":"assistant","content":"","thinking":"t","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},{"role":"tool","content":"a","tool_name":"f"}',
    ['ollamaChat'],
  ),
  parts('texts', '{"type":"text","text":"a"}', ['chat', 'messages']),
  parts('images', image, ['chat']),
  parts('images', anthropicImage, ['messages']),
  parts('tool uses', '{"type":"tool_use","id":"c","name":"f","input":{"a":1}}', ['messages']),
  parts('tool results', '{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"a"}]}', ['messages']),
  items('messages', '{"role":"user","content":"a"}'),
  items('system messages', '{"role":"system","content":"a"}'),
  items(
    'system messages after an image',
    '{"role":"system","content":"a"}',
    '{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AA=="}]},',
  ),
  items('calls', '{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}'),
  items('results', '{"type":"function_call_output","call_id":"c","output":"a"}'),
  items('custom calls', '{"type":"custom_tool_call","call_id":"c","name":"f","input":"a"}'),
  items('reasoning', '{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"a"}]}'),
  items(
    'reasoning and calls',
    '{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"a"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"a"}',
  ),
  items('of an unknown kind', '{"type":"x","a":1}'),
  items('parts', '{"type":"input_text","text":"a"}', '{"role":"user","content":[{"type":"input_text","text":"b"}]},'),
  tools(
    'functions',
    '{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}',
    ['chat', 'ollamaChat'],
  ),
  tools('functions', '{"type":"function","name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}', [
    'responses',
  ]),
  tools('with a schema', '{"name":"f","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}', ['messages']),
  repeated('one schema with many properties', ['chat'], {
    ...{
      before: `{${FIELDS},"tools":[{"type":"function","function":{"name":"f","parameters":{"enum":[`,
      item: '{"a":1.0}',
      after: ']}}}]}',
    },
  }),
  repeated('one schema with many properties', ['messages'], {
    ...{ before: `{${FIELDS},"tools":[{"name":"f","input_schema":{"enum":[`, item: '{"a":1.0}', after: ']}}]}' },
  }),
  list('texts for vectors', 'input', '"a text"', ['embeddings']),
  list('tokens', 'prompt', '12345', ['completions']),
  list('tokens for vectors', 'input', '12345', ['embeddings']),
  repeated('lists of tokens', ['completions'], { before: '{"model":"m","prompt":[', item: '[1,2,3,4,5,6,7,8]', after: ']}' }),
  list('numbers where texts should be', 'stop', '1', ALL),
  list('numbers where messages should be', 'messages', '1', TALKING),
  list('numbers where items should be', 'input', '1.5', ['responses', 'embeddings']),
  ...ALL.flatMap((surface): Shape[] => [
    {
      name: 'many keys',
      surfaces: [surface],
      body: (bytes) =>
        `{${FIELDS},${Array.from({ length: Math.floor(bytes / 14) }, (_, n) => `"k${String(n).padStart(7, '0')}":1`).join()}}`,
    },
    {
      name: 'many keys in one object',
      surfaces: [surface],
      body: (bytes) =>
        `{${FIELDS},"options":{${Array.from({ length: Math.floor(bytes / 14) }, (_, n) => `"k${String(n).padStart(7, '0')}":1`).join()}}}`,
    },
    {
      name: 'one key, again and again',
      surfaces: [surface],
      body: (bytes) => `{${FIELDS},${Array.from({ length: Math.floor(bytes / 6) }, () => '"k":1').join()}}`,
    },
    {
      name: 'deep nesting',
      surfaces: [surface],
      body: (bytes) => `{${FIELDS},"x":${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}}`,
    },
    repeated('nesting as deep as allowed', [surface], {
      before: `{${FIELDS},"metadata":[`,
      item: `${'['.repeat(60)}${']'.repeat(60)}`,
      after: ']}',
    }),
    repeated('small objects', [surface], { before: `{${FIELDS},"x":[`, item: '{"a":{"b":1}}', after: ']}' }),
    repeated('empty lists', [surface], { before: `{${FIELDS},"metadata":[`, item: '[]', after: ']}' }),
    repeated('white space', [surface], { before: `{${FIELDS},"x":`, item: ' \n', after: '1}', between: '' }),
    repeated('half a text', [surface], { before: `{${FIELDS},"x":"`, item: 'a\\"', after: '', between: '' }),
  ]),
];
