import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

const CRLF = '\r\n';

/**
 * The body of a stream, in HTTP/1.1's chunked coding with one write per chunk. Node's own coding hands the socket four pieces for each
 * chunk, which is a third of what a relayed token costs. An HTTP/1.0 client gets the bytes as they are, and the end of the connection.
 */
export class ChunkedBody {
  readonly #response: ServerResponse;
  readonly #isChunked: boolean;

  constructor(response: ServerResponse) {
    this.#response = response;
    this.#isChunked = response.req.httpVersionMajor === 1 && response.req.httpVersionMinor >= 1;
  }

  open(status: number, headers: OutgoingHttpHeaders): void {
    this.#response.writeHead(status, this.#isChunked ? { ...headers, 'transfer-encoding': 'chunked' } : headers);
    // From here on what is written is coded already.
    this.#response.chunkedEncoding = false;
  }

  /** False when the client reads more slowly than we write; wait for the response's `drain`. Nothing is no chunk: that would be the end. */
  write(bytes: Uint8Array | string): boolean {
    return bytes.length === 0 || this.#response.write(this.#isChunked ? coded(bytes, '') : bytes);
  }

  end(bytes: Uint8Array | string): void {
    this.#response.end(this.#isChunked ? coded(bytes, `0${CRLF}${CRLF}`) : bytes);
  }
}

const coded = (bytes: Uint8Array | string, rest: string): Buffer => {
  const length = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length;
  if (length === 0) return Buffer.from(rest, 'latin1');
  const size = length.toString(16) + CRLF;
  const chunk = Buffer.allocUnsafe(size.length + length + CRLF.length + rest.length);
  chunk.write(size, 'latin1');
  if (typeof bytes === 'string') chunk.write(bytes, size.length);
  else chunk.set(bytes, size.length);
  chunk.write(CRLF + rest, size.length + length, 'latin1');
  return chunk;
};
