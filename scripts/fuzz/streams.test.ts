import { expect, it } from 'vitest';
import { runCampaign } from './campaign.ts';
import { checkStream, streams } from './streams.ts';

it('reads a drawn stream as the reference does: streamed, collected and in the words of every API', async () => {
  const { violation } = await runCampaign(streams, { runs: 300, seed: Math.floor(Math.random() * 2 ** 31) });
  expect(violation?.report).toBeUndefined();
});

it('sees when a stream is read in another way', () => {
  const text =
    'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"a","reasoning_content":7},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
  // A number for a text is no chunk to the product; the reference takes it for words.
  expect(() => checkStream({ text, cuts: [] })).toThrow('the verdict');
});
