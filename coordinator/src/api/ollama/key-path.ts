/**
 * `/k/<key>/api/chat`: for programs that know a host's address but no key (the `ollama` CLI keeps a path in OLLAMA_HOST, and sends keys
 * to ollama.com only). Any route can be reached so; what is logged and matched is the path without the key.
 */
export const splitKeyPath = (path: string): { key: string | undefined; path: string } => {
  const match = /^\/k\/(lai_[0-9a-f]{32})(\/.*)?$/.exec(path);
  return match ? { key: match[1], path: match[2] ?? '/' } : { key: undefined, path };
};
