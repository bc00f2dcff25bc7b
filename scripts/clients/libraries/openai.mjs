// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import OpenAI from 'openai';

const open = ({ url, key }) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const user = (content) => [{ role: 'user', content }];
const weather = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
};

export default {
  async text(t) {
    const { choices, usage, _request_id } = await open(t).chat.completions.create({ model: t.model, messages: user('Hi.') });
    t.expect(choices[0].message.content.includes(t.greeting), choices);
    t.expect(usage.total_tokens > 0 && _request_id.startsWith('req_'), { usage, _request_id });
    const response = await open(t).responses.create({ model: t.model, input: 'Hi.' });
    t.expect(response.output_text.includes(t.greeting), response);
  },
  async streaming(t) {
    const stream = open(t).chat.completions.stream({
      model: t.model,
      messages: user('Hi.'),
      stream_options: { include_usage: true },
    });
    t.expect((await stream.finalContent()).includes(t.greeting), 'no greeting');
    t.expect((await stream.totalUsage()).total_tokens > 0, 'no usage');
    const response = await open(t).responses.stream({ model: t.model, input: 'Hi.' }).finalResponse();
    t.expect(response.output_text.includes(t.greeting), response);
  },
  async tools(t) {
    const runner = open(t).chat.completions.runTools({
      model: t.model,
      stream: true,
      messages: user('TOOL'),
      tools: [{ ...weather, function: { ...weather.function, parse: JSON.parse, function: ({ city }) => `rain in ${city}` } }],
    });
    t.expect((await runner.finalContent()).includes('rain in Oslo'), 'no result');
    const tools = [{ type: 'function', ...weather.function, strict: false }];
    const first = await open(t).responses.create({ model: t.model, input: user('TOOL'), tools });
    const call = first.output.find(({ type }) => type === 'function_call');
    const result = { type: 'function_call_output', call_id: call.call_id, output: 'rain' };
    const second = await open(t).responses.create({ model: t.model, input: [...user('TOOL'), call, result], tools });
    t.expect(second.output_text.includes('rain'), second);
  },
  async image(t) {
    const content = [
      { type: 'text', text: 'What?' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${t.image}` } },
    ];
    const { choices } = await open(t).chat.completions.create({ model: t.model, messages: user(content) });
    t.expect(choices[0].message.content.includes('1 image'), choices);
  },
  async embeddings(t) {
    const { data } = await open(t).embeddings.create({ model: t.embedder, input: ['a', 'b'] });
    t.expect(data.length === 2 && (t.isReal || data[1].embedding[1] === -0.25), data);
  },
  async cancel(t) {
    const stream = await open(t).chat.completions.create({ model: t.slowModel, messages: user('SLOW'), stream: true });
    for await (const _ of stream) break;
  },
  async errors(t) {
    const unknown = await t.failure(open(t).chat.completions.create({ model: 'nope', messages: user('Hi.') }));
    t.expect(unknown instanceof OpenAI.NotFoundError && unknown.code === 'model_not_found', unknown);
    const long = await t.failure(open(t).chat.completions.create({ model: t.model, messages: user(t.tooLong), stream: true }));
    t.expect(long instanceof OpenAI.BadRequestError && long.code === 'context_length_exceeded', long);
    const key = await t.failure(open({ ...t, key: 'sk-wrong' }).models.list());
    t.expect(key instanceof OpenAI.AuthenticationError, key);
  },
  async hold(t) {
    const stream = await open(t).chat.completions.create({ model: t.coldModel, messages: user('Hi.'), stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    t.expect(text.includes(t.greeting), text);
  },
};
