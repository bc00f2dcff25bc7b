/** ASN.1 in DER, as far as certificates need it (ITU-T X.690). Pure. */

const node = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
};

const lengthOf = (length: number): number[] => {
  if (length < 0x80) return [length];
  const bytes = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return [0x80 | bytes.length, ...bytes];
};

export const sequence = (...parts: readonly Uint8Array[]): Buffer => node(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => node(0x31, ...parts);
/** Big-endian; the caller keeps it positive (first bit 0) and minimal. */
export const integer = (bytes: Uint8Array): Buffer => node(0x02, bytes);
export const boolean = (value: boolean): Buffer => node(0x01, Buffer.from([value ? 0xff : 0]));
export const octets = (content: Uint8Array): Buffer => node(0x04, content);
export const bits = (content: Uint8Array, unusedBits = 0): Buffer => node(0x03, Buffer.from([unusedBits]), content);
export const utf8 = (text: string): Buffer => node(0x0c, Buffer.from(text, 'utf8'));
/** `[n] EXPLICIT`, around something. */
export const explicit = (tag: number, content: Uint8Array): Buffer => node(0xa0 | tag, content);
/** `[n] IMPLICIT`, of a primitive type. */
export const implicit = (tag: number, content: Uint8Array): Buffer => node(0x80 | tag, content);

/** UTCTime until 2049, GeneralizedTime after it, as RFC 5280 wants. */
export const time = (ms: number): Buffer => {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return Number(text.slice(0, 4)) < 2050 ? node(0x17, Buffer.from(text.slice(2))) : node(0x18, Buffer.from(text));
};

export const objectId = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...others].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) groups.unshift((rest & 0x7f) | 0x80);
    return groups;
  });
  return node(0x06, Buffer.from(bytes));
};
