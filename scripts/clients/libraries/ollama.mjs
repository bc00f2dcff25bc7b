// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import { Ollama } from 'ollama';

/** With the key in the address, as programs need it that know no keys. */
const open = ({ url, key }) => new Ollama({ host: `${url}/k/${key}` });
const user = (content, more = {}) => [{ role: 'user', content, ...more }];
const weather = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
};

export default {
  async text(t) {
    const { message, eval_count } = await open(t).chat({ model: t.model, messages: user('Hi.') });
    t.expect(message.content.includes(t.greeting) && eval_count > 0, message);
    const { response } = await open(t).generate({ model: t.model, prompt: 'Hi.' });
    t.expect(response.includes(t.greeting), response);
    const { models } = await open(t).list();
    t.expect(
      models.some(({ name }) => name === `${t.model}:latest`),
      models,
    );
    t.expect(
      (await open(t).show({ model: t.model })).capabilities.includes(t.isReal ? 'completion' : 'tools'),
      'no capabilities',
    );
    await open(t).ps();
  },
  async streaming(t) {
    let text = '';
    for await (const { message } of await open(t).chat({ model: t.model, messages: user('Hi.'), stream: true }))
      text += message.content;
    t.expect(text.includes(t.greeting), text);
  },
  async tools(t) {
    const { message } = await open(t).chat({ model: t.model, messages: user('TOOL'), tools: [weather] });
    const [call] = message.tool_calls;
    t.expect(call.function.arguments.city === 'Oslo', message);
    const result = { role: 'tool', tool_name: 'weather', content: 'rain in Oslo' };
    const answer = await open(t).chat({ model: t.model, messages: [...user('TOOL'), message, result], tools: [weather] });
    t.expect(answer.message.content.includes('rain in Oslo'), answer);
  },
  async image(t) {
    const { message } = await open(t).chat({ model: t.model, messages: user('What?', { images: [t.image] }) });
    t.expect(message.content.includes('1 image'), message);
  },
  async embeddings(t) {
    const { embeddings } = await open(t).embed({ model: t.embedder, input: ['a', 'b'] });
    t.expect(embeddings.length === 2 && (t.isReal || embeddings[1][1] === -0.25), embeddings);
  },
  async cancel(t) {
    const stream = await open(t).chat({ model: t.slowModel, messages: user('SLOW'), stream: true });
    const read = async () => {
      for await (const _ of stream) stream.abort();
    };
    await read().catch((error) => t.expect(error.name === 'AbortError', error));
  },
  async errors(t) {
    const unknown = await t.failure(open(t).chat({ model: 'nope', messages: user('Hi.') }));
    t.expect(unknown.status_code === 404 && /nope/.test(unknown.message), unknown);
    const long = await t.failure(open(t).chat({ model: t.model, messages: user(t.tooLong) }));
    t.expect(long.status_code === 400 && /context/.test(long.message), long);
  },
  async hold(t) {
    let text = '';
    for await (const { message } of await open(t).chat({ model: t.coldModel, messages: user('Hi.'), stream: true }))
      text += message.content;
    t.expect(text.includes(t.greeting), text);
  },
};
