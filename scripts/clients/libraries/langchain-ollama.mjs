// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import { ChatOllama, OllamaEmbeddings } from '@langchain/ollama';
import { langchainFeatures } from './langchain-features.mjs';

const configuration = ({ url, key }) => ({ baseUrl: url, headers: { authorization: `Bearer ${key}` }, maxRetries: 0 });

export default langchainFeatures({
  chat: (t, model) => new ChatOllama({ model, ...configuration(t) }),
  embeddings: (t) => new OllamaEmbeddings({ model: t.embedder, ...configuration(t) }),
  isTooLong: (error) => /context/.test(error.message),
});
