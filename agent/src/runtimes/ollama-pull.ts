import { z } from 'zod';
import { classifyEngineError } from './engine-error.ts';
import { openEngineRequest, readText } from './engine-http.ts';
import { count, positive, text } from './engine-values.ts';
import { readLines } from './lines.ts';
import { type PullProgress, RuntimeError } from './runtime.ts';

const Line = z.looseObject({ status: text, error: text, total: positive, completed: count });

/** A registry on this machine is reached over plain HTTP; every other one has to have a certificate. */
const isOnThisMachine = (model: string): boolean => /^(?:127\.0\.0\.1|localhost)(?::\d+)?\//.test(model);

/**
 * One `ollama pull`. Errors come as a last line under status 200, and a stream that ends without `success` has not succeeded. Closing the
 * connection stops the download; what is there of it stays on disk, and the next pull goes on from it.
 */
export const pullFromOllama = async (pull: {
  url: URL;
  model: string;
  onProgress: (progress: PullProgress) => void;
  signal: AbortSignal;
}): Promise<void> => {
  const response = await openEngineRequest({
    url: pull.url,
    method: 'POST',
    body: JSON.stringify({ model: pull.model, ...(isOnThisMachine(pull.model) ? { insecure: true } : {}) }),
    signal: pull.signal,
  });
  const status = response.statusCode ?? 0;
  if (status !== 200) throw failureOf(status, await readText(response, 64 * 1024));
  let isDone = false;
  try {
    for await (const told of readLines(response)) {
      const line = Line.safeParse(parseJson(told)).data;
      if (!line) continue;
      if (line.error !== null) throw failureOf(500, line.error);
      isDone = line.status === 'success';
      pull.onProgress({
        stage: line.status ?? '',
        // Go leaves zeros out.
        completedBytes: line.completed ?? (line.total === null ? null : 0),
        totalBytes: line.total,
      });
    }
  } catch (error) {
    pull.signal.throwIfAborted();
    throw error instanceof RuntimeError ? error : new RuntimeError('engine_crashed', `the pull broke off: ${error}`);
  }
  pull.signal.throwIfAborted();
  if (!isDone) throw new RuntimeError('engine_error', 'the pull ended without success');
};

/** What a registry does not have is told in several ways; none of them is a status. */
const failureOf = (status: number, text: string): RuntimeError =>
  /file does not exist|not found|manifest unknown/i.test(text)
    ? new RuntimeError('model_not_found', text)
    : new RuntimeError(classifyEngineError(status, text), text);

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
