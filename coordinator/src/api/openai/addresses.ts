import { CodedError } from '@lai/shared/errors';

/**
 * Engines fetch what an image's or a sound's address names, from inside somebody's house. Whoever has a key for inference must not make
 * them ask a router, a neighbour or a cloud's metadata, so nothing but `data:` gets through, in any kind of part but text.
 * Both throw CodedError.
 */
export const refuseAddressesInChat = (messages: unknown): void => {
  for (const message of listOf(messages))
    for (const part of listOf(fieldOf(message, 'content'))) if (fieldOf(part, 'type') !== 'text') refuseAddresses(part);
};

export const refuseAddresses = (value: unknown): void => {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value))
    if (typeof inner === 'string' && /(?:^|_)url$/i.test(name) && isAddress(inner)) throw refusal(name);
    else refuseAddresses(inner);
};

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

/** Bare base64 has no colon. */
const isAddress = (text: string): boolean => {
  const beginning = beginningOf(text);
  return !beginning.startsWith('data:') && (/^[a-z][a-z0-9+.-]*:/.test(beginning) || /^[/\\]{2}/.test(beginning));
};

/** As parsers of URLs read it: they leave out blanks and control characters, wherever they stand. */
const beginningOf = (text: string): string => {
  let beginning = '';
  for (let at = 0; at < text.length && beginning.length < 64; at += 1) {
    const letter = text.charAt(at);
    if (letter > ' ') beginning += letter.toLowerCase();
  }
  return beginning;
};

const refusal = (name: string): CodedError =>
  new CodedError('invalid_value', {
    message: `${name}: nothing is fetched from addresses here. Send the content itself, as data:image/png;base64,…`,
    param: name,
  });
