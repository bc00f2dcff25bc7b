import { escapeUnplain } from './plain-text.ts';

/** Characters that a terminal obeys instead of showing: controls but tab and line end, direction marks, halves of surrogate pairs. */
const OBEYED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find.
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)|\p{Surrogate}/gu;

/** What `styleText` writes: weight and color. Nothing that hides text, moves the cursor or talks to the terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: styles begin with an escape.
const STYLE = /(\u001b\[(?:[0-2]|22|3[0-79]|9[0-7])m)/;

/** Text from elsewhere for a terminal: each character that the terminal would obey becomes its JSON escape. Lines and joined signs stay. */
export const escapeObeyed = (text: string): string => text.replace(OBEYED, escapeUnplain);

/** The same for text that has our own styles in it. */
export const terminalText = (text: string): string =>
  text
    .split(STYLE)
    .map((part, index) => (index % 2 === 1 ? part : escapeObeyed(part)))
    .join('');

/** A copy of a value with every text in it escaped, for pages that are put together from it and styled. */
export const escapedTexts = <T>(value: T): T => {
  if (typeof value === 'string') return escapeUnplain(value).replaceAll('\n', '\\n').replaceAll('\t', '\\t') as T;
  if (Array.isArray(value)) return value.map(escapedTexts) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [escapedTexts(key), escapedTexts(entry)])) as T;
};

interface Written {
  write: (...call: never[]) => boolean;
}
type Write = (chunk: string | Uint8Array, ...rest: unknown[]) => boolean;

/**
 * From now on every string that is written to the stream goes through `terminalText`, also by `console`. Bytes go through as they are:
 * they are what this program itself wants of the terminal.
 */
export const guardTerminal = (stream: Written): void => {
  const write = stream.write.bind(stream) as unknown as Write;
  const guarded: Write = (chunk, ...rest) => write(typeof chunk === 'string' ? terminalText(chunk) : chunk, ...rest);
  stream.write = guarded as Written['write'];
};

/** The stream as line editors need it: what they write moves the cursor. They are given our prompts and what the person typed. */
export const ownControls = <Stream extends Written>(stream: Stream): Stream => {
  const write: Write = (chunk, ...rest) =>
    (stream.write.bind(stream) as unknown as Write)(
      typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk,
      ...rest.filter((each) => typeof each === 'function'),
    );
  return Object.create(stream, { write: { value: write } }) as Stream;
};
