/**
 * Requests that two HTTP parsers may read differently, as bytes. What matters is that nothing hidden in one of them is ever answered as a
 * request of its own: `/hidden` must not be seen, and whatever is ambiguous is refused or its connection closed.
 */
const CRLF = '\r\n';
const hidden = `GET /hidden HTTP/1.1${CRLF}Host: x${CRLF}${CRLF}`;
const head = (...lines: string[]): string => ['POST /v1/chat/completions HTTP/1.1', 'Host: x', ...lines, '', ''].join(CRLF);
const raw = (...lines: string[]): string => [...lines, '', ''].join(CRLF);
const chunked = (body: string): string => `${body.length.toString(16)}${CRLF}${body}${CRLF}0${CRLF}${CRLF}`;

export const SMUGGLING: readonly (readonly [string, string])[] = [
  ['length and chunks', head('Content-Length: 4', 'Transfer-Encoding: chunked') + chunked('a') + hidden],
  ['chunks and length', head('Transfer-Encoding: chunked', 'Content-Length: 4') + chunked('a') + hidden],
  ['two lengths', head('Content-Length: 0', `Content-Length: ${hidden.length}`) + hidden],
  ['two equal lengths', head('Content-Length: 0', 'Content-Length: 0') + hidden],
  ['a list of lengths', head(`Content-Length: 0, ${hidden.length}`) + hidden],
  ...['+0', '-1', '0x0', '1e1', ' 0 0', '00 1', '0;', '18446744073709551616', '٠', '0\u000b', '0,0'].map(
    (length) => [`the length ${JSON.stringify(length)}`, head(`Content-Length: ${length}`) + hidden] as const,
  ),
  ...[
    ' chunked',
    'xchunked',
    'chunked, identity',
    'identity, chunked, identity',
    'gzip, chunked',
    'chunked;q=1',
    '"chunked"',
    'chunke\u0000d',
    'Chunked x',
    'identity',
    '\tchunked',
    'chunked\t,',
  ].map(
    (encoding) =>
      [`the encoding ${JSON.stringify(encoding)}`, head(`Transfer-Encoding:${encoding}`) + chunked('a') + hidden] as const,
  ),
  ['two encodings', head('Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + chunked('a') + hidden],
  ['an encoding behind a folded line', head('X: y', ' Transfer-Encoding: chunked') + chunked('a') + hidden],
  ['an encoding with a space before its colon', head('Transfer-Encoding : chunked') + chunked('a') + hidden],
  ['a length with a space before its colon', head('Content-Length : 5') + hidden],
  ['an encoding behind a tab', head('\tTransfer-Encoding: chunked') + hidden],
  ['a bare line feed between headers', `POST / HTTP/1.1\nHost: x\nContent-Length: 0\n\n${hidden}`],
  ['a bare carriage return in a header', head('X: y\rTransfer-Encoding: chunked') + hidden],
  ['a NUL in a header', head('X: a\u0000b') + hidden],
  ['a NUL in a name', head('X\u0000: a') + hidden],
  ['an empty name', head(': a') + hidden],
  ['a name with a space', head('X Y: a') + hidden],
  ['a line without a colon', head('Nothing') + hidden],
  ['no Host', raw('GET /hidden HTTP/1.1')],
  ['two Hosts', raw('GET /hidden HTTP/1.1', 'Host: a', 'Host: b')],
  ['an empty method', raw(' /hidden HTTP/1.1', 'Host: x')],
  ['an unknown method', raw('HIDE /hidden HTTP/1.1', 'Host: x')],
  ['a method in small letters', raw('get /hidden HTTP/1.1', 'Host: x')],
  ['two spaces before the target', raw('GET  /hidden HTTP/1.1', 'Host: x')],
  ['a space in the target', raw('GET /hid den HTTP/1.1', 'Host: x')],
  ['no version', raw('GET /hidden', 'Host: x')],
  ...['HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1', 'http/1.1', 'HTTP/1.1x', 'HTTP/11'].map(
    (version) => [`the version ${version}`, raw(`GET /hidden ${version}`, 'Host: x')] as const,
  ),
  ['the preface of HTTP/2', `PRI * HTTP/2.0${CRLF}${CRLF}SM${CRLF}${CRLF}`],
  ['the first bytes of TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003'],
  ['a negative chunk', `${head('Transfer-Encoding: chunked')}-1${CRLF}${hidden}`],
  ['an endless chunk', `${head('Transfer-Encoding: chunked')}FFFFFFFFFFFFFFFFF${CRLF}${hidden}`],
  ['a chunk size with 0x', `${head('Transfer-Encoding: chunked')}0x1${CRLF}a${CRLF}0${CRLF}${CRLF}${hidden}`],
  ['a chunk size with a space', `${head('Transfer-Encoding: chunked')}1 ${CRLF}a${CRLF}0 1${CRLF}${CRLF}${hidden}`],
  ['a chunk that ends too late', `${head('Transfer-Encoding: chunked')}1${CRLF}abc${CRLF}0${CRLF}${CRLF}${hidden}`],
  ['a chunk ended by a bare line feed', `${head('Transfer-Encoding: chunked')}1\na\n0\n\n${hidden}`],
  ['an extension of 20 kB', `${head('Transfer-Encoding: chunked')}1;${'x'.repeat(20_000)}${CRLF}a${CRLF}0${CRLF}${CRLF}`],
  ['a header of 20 kB', head(`X: ${'x'.repeat(20_000)}`)],
  ['5,000 headers', head(...Array.from({ length: 5_000 }, (_, at) => `X-${at}: y`))],
  ['a target of 20 kB', raw(`GET /${'x'.repeat(20_000)} HTTP/1.1`, 'Host: x')],
  ['CONNECT', raw('CONNECT 127.0.0.1:22 HTTP/1.1', 'Host: 127.0.0.1:22')],
  [
    'an upgrade to HTTP/2',
    raw('GET /livez HTTP/1.1', 'Host: x', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
  ],
  ['an upgrade to something else', raw('GET /agent/v1 HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: something')],
  [
    'an upgrade without a key',
    raw('GET /agent/v1 HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'),
  ],
  [
    'an upgrade of a browser',
    raw(
      'GET /agent/v1 HTTP/1.1',
      'Host: x',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      'Origin: https://evil.example',
    ),
  ],
];
