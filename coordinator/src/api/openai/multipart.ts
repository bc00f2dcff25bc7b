import { CodedError } from '@lai/shared/errors';

/** Of the forms we write. Long and odd enough not to stand in anybody's recording. */
const BOUNDARY = '----lai-form-5f0e8c1d7a9b4e62';

/** A form as a browser or an SDK sends it, read whole. */
export const parseForm = async (bytes: Uint8Array, contentType: string | undefined): Promise<FormData> => {
  const problem = new CodedError('unsupported_media_type', { message: 'Send the file as a form (multipart/form-data).' });
  if (!contentType?.toLowerCase().startsWith('multipart/form-data')) throw problem;
  try {
    return await new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { 'content-type': contentType } }).formData();
  } catch {
    throw new CodedError('invalid_value', { message: 'The body is not a valid form.' });
  }
};

export interface FormFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** A form that begins with its boundary: whoever has the bytes needs no header to read them. */
export const writeForm = (fields: readonly (readonly [string, string])[], file: FormFile): Uint8Array => {
  const texts = fields.map(([name, value]) => `${head(name)}\r\n\r\n${value}\r\n`);
  const fileHead = `${head('file')}; filename="${quoted(file.name)}"\r\ncontent-type: ${file.type}\r\n\r\n`;
  return Buffer.concat([Buffer.from(texts.join('') + fileHead), file.bytes, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
};

const head = (name: string): string => `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${quoted(name)}"`;

const quoted = (text: string): string => text.replaceAll('"', '%22').replaceAll(/[\r\n]/g, ' ');
