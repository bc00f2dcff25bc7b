import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw, type ZlibOptions, zstdDecompress } from 'node:zlib';
import { CodedError } from '@lai/shared/errors';

type Decoder = (bytes: Uint8Array, options: ZlibOptions) => Promise<Buffer>;

const gzipDecoder = promisify(gunzip) as Decoder;
const zlibDecoder = promisify(inflate) as Decoder;
const rawDecoder = promisify(inflateRaw) as Decoder;

/** `deflate` is zlib's format by the book, and bare deflate from some clients: zlib's begins with a header that adds up. */
const deflateDecoder: Decoder = (bytes, options) => {
  const isZlib = ((bytes[0] ?? 0) & 0x0f) === 8 && (((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)) % 31 === 0;
  return isZlib ? zlibDecoder(bytes, options) : rawDecoder(bytes, options);
};

const DECODERS: Readonly<Record<string, Decoder>> = {
  gzip: gzipDecoder,
  'x-gzip': gzipDecoder,
  deflate: deflateDecoder,
  br: promisify(brotliDecompress) as Decoder,
  zstd: promisify(zstdDecompress) as Decoder,
};

/**
 * How a body with this `Content-Encoding` is decoded, off the event loop and into no more than `maxBytes`. Null when it is sent as it
 * is. Throws CodedError for a coding that nobody here knows, or several: each one multiplies what a small body may turn into.
 */
export const decoderFor = (
  header: string | undefined,
): ((bytes: Buffer, maxBytes: number) => Promise<Buffer | 'too_large'>) | null => {
  const coding = (header ?? '').trim().toLowerCase();
  if (coding === '' || coding === 'identity') return null;
  const decode = Object.hasOwn(DECODERS, coding) ? DECODERS[coding] : undefined;
  if (!decode)
    throw new CodedError('unsupported_media_type', {
      message: `Content-Encoding: Lai does not decode ${JSON.stringify(coding.slice(0, 50))}. Send the body as it is, or as one of gzip, deflate, br, zstd.`,
      param: 'Content-Encoding',
    });
  return async (bytes, maxBytes) => {
    try {
      return await decode(bytes, { maxOutputLength: maxBytes });
    } catch (error) {
      if (error instanceof RangeError) return 'too_large';
      throw new CodedError('invalid_value', {
        message: `Content-Encoding: the body is not valid ${coding}.`,
        param: 'Content-Encoding',
      });
    }
  };
};
