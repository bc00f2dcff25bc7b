import type { LoadedModel } from './node.ts';

/** Weights are loaded whole; context and buffers come on top. A tenth for the context where the engine does not tell what it takes. */
const USUAL_CONTEXT_SHARE = 0.1;
const BUFFER_BYTES = 256 * 1024 * 1024;

/** Bytes that a load will take, by what is known without having seen one; null when not even the model's size is. */
export const estimatedNeedBytes = ({
  sizeBytes,
  contextBytes,
}: Pick<LoadedModel, 'sizeBytes' | 'contextBytes'>): number | null =>
  sizeBytes === null ? null : sizeBytes + Math.max(sizeBytes * USUAL_CONTEXT_SHARE, contextBytes ?? 0) + BUFFER_BYTES;
