// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { aiFeatures } from './ai-features.mjs';

const open = ({ url, key }) => createOpenAICompatible({ name: 'lai', baseURL: `${url}/v1`, apiKey: key, includeUsage: true });

export default aiFeatures({ chat: (t, model) => open(t)(model), embedding: (t, model) => open(t).embeddingModel(model) });
