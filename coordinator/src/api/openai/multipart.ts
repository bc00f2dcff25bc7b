import { createHash } from 'node:crypto';
import { CodedError } from '@lai/shared/errors';

/** A form as a browser or an SDK sends it, read whole. */
export const parseForm = async (bytes: Uint8Array, contentType: string | undefined): Promise<FormData> => {
  const problem = new CodedError('unsupported_media_type', {
    message: 'Send the file as a form (multipart/form-data).',
    param: 'Content-Type',
  });
  if (!contentType?.toLowerCase().startsWith('multipart/form-data')) throw problem;
  try {
    return await new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { 'content-type': contentType } }).formData();
  } catch {
    throw new CodedError('invalid_value', { message: 'The body is not a valid form.', param: 'body' });
  }
};

export interface FormFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

/**
 * A form that begins with its boundary: who has the bytes needs no header to read them. The boundary is a digest of what is in the form,
 * so that nothing in it can contain the boundary, and equal requests are equal bytes.
 */
export const writeForm = (fields: readonly (readonly [string, string])[], file: FormFile): Uint8Array => {
  const digest = createHash('sha256')
    .update(JSON.stringify([fields, file.name, file.type]))
    .update(file.bytes)
    .digest('hex');
  const head = (name: string): string => `--lai-${digest}\r\ncontent-disposition: form-data; name="${quoted(name)}"`;
  const texts = fields.map(([name, value]) => `${head(name)}\r\n\r\n${value}\r\n`);
  const fileHead = `${head('file')}; filename="${quoted(file.name)}"\r\ncontent-type: ${file.type}\r\n\r\n`;
  return Buffer.concat([Buffer.from(texts.join('') + fileHead), file.bytes, Buffer.from(`\r\n--lai-${digest}--\r\n`)]);
};

/** Parsers differ in what a backslash means there. */
const quoted = (text: string): string => text.replaceAll('"', '%22').replaceAll(/[\p{Cc}\\]/gu, ' ');

const FIELD_NAME = /^[a-z][a-z0-9_]{0,63}(?:\[\])?$/;

/**
 * Refuses fields that engines could read in two ways: there twice (names that end in [] are lists), or in another spelling than lower
 * case, which is how every field of the API is written. Throws CodedError.
 */
export const refuseAmbiguousFields = (form: FormData): void => {
  const seen = new Set<string>();
  for (const [name] of form) {
    const shown = name.slice(0, 64);
    if (!FIELD_NAME.test(name))
      throw new CodedError('invalid_value', {
        message: `${shown}: names of form fields are lower-case words such as "model" and "response_format".`,
        param: shown,
      });
    if (seen.has(name) && !name.endsWith('[]'))
      throw new CodedError('invalid_value', {
        message: `${shown}: this form field is there twice, and engines differ in which one they read. Send it once.`,
        param: shown,
      });
    seen.add(name);
  }
};
