import { openEngineRequest, readText } from '../runtimes/engine-http.ts';
import type { Runtime } from '../runtimes/runtime.ts';

/** Does this engine still generate? Any answer of the model counts, an error does not. Never rejects. */
export const askForOneToken = async (runtime: Runtime, model: string, signal: AbortSignal): Promise<boolean> => {
  try {
    const response = await openEngineRequest({
      ...runtime.endpoint('chat.completions'),
      method: 'POST',
      body: JSON.stringify({
        model: runtime.engineName?.(model) ?? model,
        max_tokens: 1,
        stream: false,
        messages: [{ role: 'user', content: 'Say yes.' }],
      }),
      signal,
    });
    await readText(response, 64 * 1024);
    return (response.statusCode ?? 500) < 300;
  } catch {
    return false;
  }
};
