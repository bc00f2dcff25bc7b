// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { langchainFeatures } from './langchain-features.mjs';

const configuration = ({ url, key }) => ({ configuration: { baseURL: `${url}/v1` }, apiKey: key, maxRetries: 0 });

export default langchainFeatures({
  chat: (t, model) => new ChatOpenAI({ model, ...configuration(t) }),
  embeddings: (t) => new OpenAIEmbeddings({ model: t.embedder, ...configuration(t) }),
  isTooLong: (error) => error.code === 'context_length_exceeded' || error.name === 'ContextOverflowError',
});
