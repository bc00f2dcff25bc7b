// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import Anthropic from '@anthropic-ai/sdk';

const open = ({ url, key }) => new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
const user = (content) => [{ role: 'user', content }];
const ask = (t, content, more = {}) => ({ model: t.model, max_tokens: 1_000, messages: user(content), ...more });
const textOf = ({ content }) => content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('');
const tools = [
  { name: 'weather', input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
];

export default {
  async text(t) {
    const message = await open(t).messages.create(ask(t, 'Hi.', { system: 'Be brief.' }));
    t.expect(textOf(message).includes(t.greeting) && message.usage.output_tokens > 0, message);
    t.expect(message._request_id?.startsWith('req_'), message._request_id);
    t.expect((await open(t).messages.countTokens({ model: t.model, messages: user('Hi.') })).input_tokens > 0, 'no count');
    t.expect(
      (await open(t).models.list()).data.some(({ id }) => id === t.model),
      'not listed',
    );
  },
  async streaming(t) {
    const message = await open(t).messages.stream(ask(t, 'Hi.')).finalMessage();
    t.expect(textOf(message).includes(t.greeting) && (t.isReal || message.stop_reason === 'end_turn'), message);
  },
  async tools(t) {
    const first = await open(t)
      .messages.stream(ask(t, 'TOOL', { tools }))
      .finalMessage();
    const use = first.content.find(({ type }) => type === 'tool_use');
    t.expect(first.stop_reason === 'tool_use' && use.input.city === 'Oslo', first);
    const result = { type: 'tool_result', tool_use_id: use.id, content: 'rain in Oslo' };
    const messages = [...user('TOOL'), { role: 'assistant', content: first.content }, { role: 'user', content: [result] }];
    t.expect(textOf(await open(t).messages.create(ask(t, '', { tools, messages }))).includes('rain in Oslo'), 'no result');
  },
  async image(t) {
    const source = { type: 'base64', media_type: 'image/png', data: t.image };
    const message = await open(t).messages.create(
      ask(t, [
        { type: 'image', source },
        { type: 'text', text: 'What?' },
      ]),
    );
    t.expect(textOf(message).includes('1 image'), message);
  },
  async cancel(t) {
    const stream = open(t).messages.stream(ask(t, 'SLOW', { model: t.slowModel }));
    const read = async () => {
      for await (const event of stream) if (event.type === 'content_block_delta') stream.abort();
    };
    await read().catch((error) => t.expect(error instanceof Anthropic.APIUserAbortError, error));
  },
  async errors(t) {
    const unknown = await t.failure(open(t).messages.create(ask(t, 'Hi.', { model: 'nope' })));
    t.expect(unknown instanceof Anthropic.NotFoundError && /nope/.test(unknown.message), unknown);
    const long = await t.failure(open(t).messages.create(ask(t, t.tooLong)));
    t.expect(
      long instanceof Anthropic.BadRequestError && /prompt is too long: \d+ tokens > \d+ maximum/.test(long.message),
      long,
    );
    const key = await t.failure(open({ ...t, key: 'sk-ant-wrong' }).messages.create(ask(t, 'Hi.')));
    t.expect(key instanceof Anthropic.AuthenticationError, key);
  },
  async hold(t) {
    const message = await open(t)
      .messages.stream(ask(t, 'Hi.', { model: t.coldModel }))
      .finalMessage();
    t.expect(textOf(message).includes(t.greeting), message);
  },
};
