import { EmbeddingRequest } from '@lai/shared/openai';
import { describe, expect, it } from 'vitest';
import { chatFromMessages } from '../anthropic/messages-input.ts';
import { chatFromOllama } from '../ollama/input.ts';
import { refuseAddresses } from './addresses.ts';
import { parseJsonBody } from './body.ts';
import { chatQuestion } from './chat-question.ts';
import { embeddingQuestion } from './embeddings.ts';
import { questionIn } from './questions.ts';

const LIMITS = { maxTextBytes: 1_000_000 };
const METADATA = 'http://169.254.169.254/latest/meta-data/';
const PIXEL = 'data:image/png;base64,iVBORw0KGgo=';
const refused = expect.objectContaining({ code: 'invalid_value' });

const image = (url: unknown) => [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }];
const chat = (messages: unknown) => questionIn(Buffer.from(JSON.stringify({ messages })), LIMITS);

describe('an address in a request', () => {
  it.each([
    METADATA,
    'https://example.org/cat.png',
    'HTTP://router.lan/',
    'file:///etc/passwd',
    'ftp://nas/x',
    'gopher://127.0.0.1:6379/_FLUSHALL',
    '//router.lan/cat.png',
    '\\\\nas\\share',
    ` ${METADATA}`,
    'ht\ntp://router.lan/',
    '\u0000http://router.lan/',
    `http:${' '.repeat(300)}//router.lan/`,
    `${' '.repeat(300)}http://router.lan/`,
    'database://x',
    's3://bucket/key',
  ])('is refused: %j', (url) => {
    expect(() => chat(image(url))).toThrow(refused);
  });

  it.each([PIXEL, ` ${PIXEL}`, 'DATA:image/png;base64,AAAA', '/9j/4AAQSkZJRg==', 'iVBORw0KGgo='])('is none: %j', (url) => {
    expect(() => chat(image(url))).not.toThrow();
  });

  it.each([
    { type: 'image_url', image_url: METADATA },
    { type: 'video_url', video_url: { url: METADATA } },
    { type: 'audio_url', audio_url: { url: METADATA } },
    { type: 'input_image', image_url: METADATA },
    { type: 'image', source: { type: 'url', url: METADATA } },
    { type: 'file', file: { file_url: METADATA } },
    { type: 'image_url', image_url: { type: 'text', url: METADATA } },
    { type: 'something_new', of: [{ deeper: [{ url: METADATA }] }] },
  ])('is found wherever it stands: %j', (part) => {
    for (const role of ['user', 'tool', 'assistant', 'system'])
      expect(() => chat([{ role, content: [{ type: 'text', text: 'Look.' }, part] }])).toThrow(refused);
  });

  it('may stand in a text: nobody fetches that', () => {
    const content = [{ type: 'text', text: `See ${METADATA}`, citations: [{ url: METADATA }] }];
    expect(() => chat([{ role: 'user', content }])).not.toThrow();
    expect(() => chat([{ role: 'user', content: METADATA }])).not.toThrow();
  });

  it('is refused in the words of every API', () => {
    const source = { type: 'url', url: METADATA };
    const messages = [{ role: 'user', content: [{ type: 'image', source }] }];
    expect(() => chatQuestion(chatFromMessages({ model: 'm', max_tokens: 1, messages }))).toThrow(refused);
    const result = [{ type: 'tool_result', tool_use_id: 'x', content: [{ type: 'image', source }] }];
    expect(() =>
      chatQuestion(chatFromMessages({ model: 'm', max_tokens: 1, messages: [{ role: 'user', content: result }] })),
    ).toThrow(refused);
    const body = Buffer.from(JSON.stringify({ input: 'x', messages: image(METADATA) }));
    expect(() => embeddingQuestion(parseJsonBody(body, EmbeddingRequest, LIMITS))).toThrow(refused);
    expect(() => refuseAddresses([{ text: 'x', content: [{ image_url: { url: METADATA } }] }])).toThrow(refused);
  });

  it("becomes data that is none in Ollama's API, which knows no addresses", () => {
    const ollama = { model: 'm', messages: [{ role: 'user', content: 'Look.', images: [METADATA] }] };
    const question = chatQuestion(chatFromOllama(ollama, false));
    expect(Buffer.from(question.bodyFor('m')).toString()).toContain(`"url":"data:image/png;base64,${METADATA}"`);
  });
});
