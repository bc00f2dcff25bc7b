// @ts-nocheck: its packages are installed by the client matrix alone, not in the workspace.
import { createOpenAI } from '@ai-sdk/openai';
import { aiFeatures } from './ai-features.mjs';

const open = ({ url, key }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key });

/** Its default is the Responses API, storing: what it was told it refers to instead of sending it again. */
export default aiFeatures({ chat: (t, model) => open(t)(model), embedding: (t, model) => open(t).embedding(model) });
