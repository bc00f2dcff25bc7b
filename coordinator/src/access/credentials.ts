import { keyFromHeader } from './api-keys.ts';

/**
 * `/k/<key>/v1/…`: for programs that know an address but no header (the `ollama` CLI keeps a path in OLLAMA_HOST and sends keys to
 * ollama.com only). Any route can be reached so. What is matched, logged and shown is the path without that piece, also when the piece
 * is no key of ours: it may be somebody's secret all the same.
 */
export const splitKeyPath = (path: string): { key: string | undefined; path: string } => {
  const match = /^\/k\/([^/]*)(\/.*)?$/s.exec(path);
  return match ? { key: match[1] ?? '', path: match[2] ?? '/' } : { key: undefined, path };
};

/**
 * The one key that a request brings. All places are alike: whatever a key may do or not, it may do in each of them. Null: none, no key of
 * ours, or two different ones, which no honest program sends.
 */
export const keyOf = (request: {
  authorization?: string | undefined;
  xApiKey?: string | undefined;
  inPath?: string | undefined;
}): string | null => {
  const shown = [request.authorization, request.xApiKey, request.inPath].filter((place) => place !== undefined && place !== '');
  const keys = new Set(shown.map((place) => keyFromHeader(place)));
  // Programs that insist on a key send a made-up one in the header although the true one is in the path or the other header.
  keys.delete(null);
  const [key] = keys;
  return keys.size === 1 ? (key ?? null) : null;
};
