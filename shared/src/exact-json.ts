/**
 * JSON as engines and clients write it, read so that it can be written again without a loss: numbers keep their digits
 * (12345678901234567891, 1.0, 1e400). The words NaN, Infinity and -Infinity, which Python writes and JSON does not know, are null.
 */
interface SourceJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  rawJSON(source: string): unknown;
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
}
const sourceJson = JSON as unknown as SourceJson;

/** May match inside of strings; it only decides whether each number is looked at. */
const CHANGES_WHEN_WRITTEN = /\d{16}|\d[eE]|\.\d*0(?:[^\d.]|$)|\.\d{15}|-0(?![.\d])/;
const NOT_A_NUMBER = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;

/** Throws SyntaxError. JSON.stringify of the value gives the text back, except for space and the order of keys that are integers. */
export const parseExact = (text: string): unknown => {
  const json = withoutWords(text);
  if (!CHANGES_WHEN_WRITTEN.test(json)) return JSON.parse(json);
  return sourceJson.parse(json, (_, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? sourceJson.rawJSON(source) : value,
  );
};

/** The same text with null for what is no JSON number; the very same string when there is none. */
export const withoutWords = (text: string): string =>
  text.includes('NaN') || text.includes('Infinity')
    ? text.replaceAll(NOT_A_NUMBER, (token) => (token.startsWith('"') ? token : 'null'))
    : text;

/** A number of parseExact's, which may stand there with its digits; undefined when it is none. */
export const numberIn = (value: unknown): number | undefined => {
  if (typeof value === 'number') return value;
  return sourceJson.isRawJSON(value) ? Number(value.rawJSON) : undefined;
};
