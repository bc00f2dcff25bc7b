/**
 * Characters that change what a terminal or a page shows instead of being shown: controls (C0, DEL, C1), line and paragraph separators,
 * direction marks and overrides, invisible joiners and spaces, tags, and surrogates without their other half.
 */
const UNPLAIN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find.
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\u{e0000}-\u{e0fff}]|\p{Surrogate}/u;
const EACH_UNPLAIN = new RegExp(UNPLAIN, 'gu');

/** True when every character of the text is shown as itself, on one line. */
export const isPlain = (text: string): boolean => !UNPLAIN.test(text);

/** One line of at most `most` UTF-16 units, with a visible replacement for every character that is not plain. */
export const plainText = (text: string, most = Number.MAX_SAFE_INTEGER): string => {
  if (text.length <= most && isPlain(text)) return text;
  const isWhole = text.length <= most;
  const plain = (isWhole ? text : text.slice(0, most - 1)).replace(EACH_UNPLAIN, '\ufffd');
  return isWhole ? plain : `${plain}…`;
};

/**
 * Every character that is not plain as its JSON escape: a person sees it, and in JSON text it stays the same value. Line ends and tabs of
 * the text itself are kept.
 */
export const escapeUnplain = (text: string): string =>
  isPlain(text)
    ? text
    : text.replace(EACH_UNPLAIN, (found) =>
        found === '\n' || found === '\t'
          ? found
          : Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
      );
