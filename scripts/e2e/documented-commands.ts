/** The commands in the documents, as a shell would read them. Pure. */

export interface Documented {
  /** `docs/operating.md:32`, for messages. */
  readonly where: string;
  /** One simple command, as it stands there. */
  readonly text: string;
  readonly words: readonly string[];
  /** In a block of its own, so to be typed as it is; else named in the text. */
  readonly isTyped: boolean;
}

/** Commands of one page: lines of fenced `sh` blocks (continued lines joined), and what stands between backticks and begins with `first`. */
export const commandsIn = (page: string, markdown: string, first: readonly string[]): Documented[] => {
  const found: Documented[] = [];
  let fence: string | null = null;
  const add = (line: number, text: string): void => {
    for (const words of simpleCommands(text))
      found.push({ where: `${page}:${line}`, text: text.trim(), words, isTyped: fence !== null });
  };
  let begun: { line: number; text: string } | null = null;
  for (const [at, raw] of markdown.split('\n').entries()) {
    const mark = /^\s*```(\w*)/.exec(raw);
    if (mark) {
      fence = fence === null ? (mark[1] ?? '') : null;
      continue;
    }
    if (fence !== null) {
      if (fence !== 'sh' && fence !== '') continue;
      const text: string = (begun?.text ?? '') + raw;
      const line: number = begun?.line ?? at + 1;
      begun = text.endsWith('\\') ? { line, text: text.slice(0, -1) } : null;
      // An unnamed block is output or a drawing, unless it begins as a command of ours does.
      if (begun !== null) continue;
      if (fence === 'sh') add(line, text);
      // In such a block what follows is an explanation in the next column.
      else if (first.includes(text.trim().split(/\s/)[0] ?? '')) add(line, text.trim().split(/\s{2,}/)[0] ?? '');
      continue;
    }
    for (const [, code = ''] of raw.matchAll(/`([^`]+)`/g)) {
      const word = code.split(/[\s]/).find((candidate) => !/^[A-Z_]+=/.test(candidate)) ?? '';
      if (first.includes(word) && code.includes(' ')) add(at + 1, code.replaceAll('\\|', '|'));
    }
  }
  return found;
};

/**
 * The simple commands of a line: without comments, assignments and redirections; those in `$(…)` as well. Words are as written, without
 * their quotes.
 */
export const simpleCommands = (line: string): string[][] => {
  const commands: string[][] = [];
  let words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  const endWord = (): void => {
    if (word !== null) words.push(word);
    word = null;
  };
  const endCommand = (): void => {
    endWord();
    const start = words.findIndex((candidate) => !/^[A-Za-z_]\w*=/.test(candidate));
    if (start !== -1) commands.push(words.slice(start));
    words = [];
  };
  for (let at = 0; at < line.length; at += 1) {
    const char = line[at] ?? '';
    if (quote === null && char === '$' && line[at + 1] === '(') {
      let depth = 1;
      let end = at + 2;
      for (; end < line.length && depth > 0; end += 1) depth += line[end] === '(' ? 1 : line[end] === ')' ? -1 : 0;
      commands.push(...simpleCommands(line.slice(at + 2, end - 1)));
      word = `${word ?? ''}$()`;
      at = end - 1;
    } else if (quote !== null) {
      if (char === quote) quote = null;
      else word = `${word ?? ''}${char}`;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= '';
    } else if (char === '#' && word === null) break;
    else if (/\s/.test(char)) endWord();
    // A placeholder is no redirection.
    else if (char === '<' && /^<[\w -]+>/.test(line.slice(at))) {
      const [all] = /^<[\w -]+>/.exec(line.slice(at)) ?? [''];
      word = `${word ?? ''}${all}`;
      at += all.length - 1;
    } else if (char === '|' && /\w/.test(line[at - 1] ?? '') && /\w/.test(line[at + 1] ?? '')) {
      // Alternatives, as `start|stop`: no pipe of ours is written without spaces.
      word = `${word ?? ''}|`;
    } else if (char === '|' || char === ';' || (char === '&' && line[at + 1] === '&')) {
      endCommand();
      if (char === '&') at += 1;
    } else if (char === '<' || char === '>') {
      endWord();
      const [target] = /^\s*\S+/.exec(line.slice(at + 1)) ?? [''];
      at += target.length;
    } else word = `${word ?? ''}${char}`;
  }
  endCommand();
  return commands;
};
