// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import { APICallError, embedMany, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

/** The AI SDK's features, whichever provider makes the model. */
export const aiFeatures = ({ chat, embedding }) => ({
  async text(t) {
    const short = { model: chat(t, t.model), maxRetries: 0, maxOutputTokens: 64 };
    const { text, usage, response } = await generateText({ ...short, prompt: 'Hi.' });
    t.expect(text.includes(t.greeting) && usage.totalTokens > 0, { text, usage });
    // The next turn: with Responses, what the model said comes back as a mere reference.
    const user = (content) => ({ role: 'user', content });
    const messages = [user('Hi.'), ...response.messages, user('And again.')];
    const next = await generateText({ ...short, messages });
    t.expect(next.text.includes(t.greeting), next.text);
  },
  async streaming(t) {
    const result = streamText({ model: chat(t, t.model), prompt: 'Hi.', maxRetries: 0, onError: () => {} });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    t.expect(text.includes(t.greeting), text);
    t.expect((await result.usage).totalTokens > 0, 'no usage');
  },
  async tools(t) {
    const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `rain in ${city}` });
    const ask = { model: chat(t, t.model), prompt: 'TOOL', tools: { weather }, stopWhen: stepCountIs(3), maxRetries: 0 };
    const { text } = await generateText(ask);
    t.expect(text.includes('rain in Oslo'), text);
    t.expect((await streamText({ ...ask, onError: () => {} }).text).includes('rain in Oslo'), 'no result in the stream');
  },
  async image(t) {
    const content = [
      { type: 'text', text: 'What?' },
      { type: 'image', image: Buffer.from(t.image, 'base64'), mediaType: 'image/png' },
    ];
    const { text } = await generateText({ model: chat(t, t.model), messages: [{ role: 'user', content }], maxRetries: 0 });
    t.expect(text.includes('1 image'), text);
  },
  async embeddings(t) {
    const { embeddings } = await embedMany({ model: embedding(t, t.embedder), values: ['a', 'b'], maxRetries: 0 });
    t.expect(embeddings.length === 2 && (t.isReal || embeddings[1][1] === -0.25), embeddings);
  },
  async cancel(t) {
    const abort = new AbortController();
    const { textStream } = streamText({
      model: chat(t, t.slowModel),
      prompt: 'SLOW',
      abortSignal: abort.signal,
      onError: () => {},
    });
    for await (const _ of textStream) {
      abort.abort();
      break;
    }
  },
  async errors(t) {
    const unknown = await t.failure(generateText({ model: chat(t, 'nope'), prompt: 'Hi.' }));
    t.expect(APICallError.isInstance(unknown) && unknown.statusCode === 404 && !unknown.isRetryable, unknown);
    t.expect(unknown.message.includes('nope'), unknown.message);
    const long = await t.failure(generateText({ model: chat(t, t.model), prompt: t.tooLong }));
    t.expect(long.statusCode === 400 && long.data.error.code === 'context_length_exceeded', long);
  },
  async hold(t) {
    const text = await streamText({ model: chat(t, t.coldModel), prompt: 'Hi.', maxRetries: 0, onError: () => {} }).text;
    t.expect(text.includes(t.greeting), text);
  },
});
