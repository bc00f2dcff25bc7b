/**
 * What a coordinator may bring onto this machine, unless its owner says otherwise: the engines' own libraries and Hugging Face. A name
 * that begins with another host makes the engine call that host, whatever it is; those have to be allowed by name.
 */
export const DEFAULT_PULLS: readonly string[] = ['*', 'hf.co/*', 'huggingface.co/*', 'registry.ollama.ai/*'];

/** `*` stands for anything; a pattern without a host never means a name that has one. */
export const mayPull = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => hostOf(pattern) === hostOf(name) && matches(name.toLowerCase(), pattern.toLowerCase()));

/** The first part is a host when it looks like one, as in Docker's names: `hf.co/x`, `localhost/x`, `registry:5000/x`. */
const hostOf = (name: string): string | null => {
  const at = name.indexOf('/');
  const first = name.slice(0, at).toLowerCase();
  return at > 0 && (/[.:]/.test(first) || first === 'localhost') ? first : null;
};

const matches = (name: string, pattern: string): boolean =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'))
      .join('.*')}$`,
  ).test(name);
