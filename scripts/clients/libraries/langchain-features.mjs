// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { z } from 'zod';

/** LangChain's features, whichever class talks. */
export const langchainFeatures = ({ chat, embeddings, isTooLong }) => ({
  async text(t) {
    const { content, usage_metadata } = await chat(t, t.model).invoke('Hi.');
    t.expect(content.includes(t.greeting) && usage_metadata.total_tokens > 0, { content, usage_metadata });
  },
  async streaming(t) {
    let text = '';
    for await (const chunk of await chat(t, t.model).stream('Hi.')) text += chunk.content;
    t.expect(text.includes(t.greeting), text);
  },
  async tools(t) {
    const weather = tool(async ({ city }) => `rain in ${city}`, { name: 'weather', schema: z.object({ city: z.string() }) });
    const bound = chat(t, t.model).bindTools([weather]);
    const asked = new HumanMessage('TOOL');
    const called = await bound.invoke([asked]);
    const [call] = called.tool_calls;
    const result = await weather.invoke(call);
    t.expect(result instanceof ToolMessage, result);
    const { content } = await bound.invoke([asked, called, result]);
    t.expect(content.includes('rain in Oslo'), content);
  },
  async image(t) {
    const url = `data:image/png;base64,${t.image}`;
    const content = [
      { type: 'text', text: 'What?' },
      { type: 'image_url', image_url: { url } },
    ];
    const answer = await chat(t, t.model).invoke([new HumanMessage({ content })]);
    t.expect(answer.content.includes('1 image'), answer.content);
  },
  async embeddings(t) {
    const vectors = await embeddings(t).embedDocuments(['a', 'b']);
    t.expect(vectors.length === 2 && (t.isReal || vectors[1][1] === -0.25), vectors);
  },
  async cancel(t) {
    const abort = new AbortController();
    const read = async () => {
      for await (const _ of await chat(t, t.slowModel).stream('SLOW', { signal: abort.signal })) abort.abort();
    };
    await read().catch((error) => t.expect(abort.signal.aborted, error));
  },
  async errors(t) {
    const unknown = await t.failure(chat(t, 'nope').invoke('Hi.'));
    t.expect(/nope/.test(unknown.message), unknown);
    const long = await t.failure(chat(t, t.model).invoke(t.tooLong));
    t.expect(isTooLong(long), `${long.name} ${long.code} ${long.message}`);
  },
  async hold(t) {
    let text = '';
    for await (const chunk of await chat(t, t.coldModel).stream('Hi.')) text += chunk.content;
    t.expect(text.includes(t.greeting), text);
  },
});
