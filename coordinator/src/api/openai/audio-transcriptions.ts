import { CodedError } from '@lai/shared/errors';
import { AUTO } from '../../routing/target.ts';
import { readBytes } from './body.ts';
import { BytesCollector } from './collect-bytes.ts';
import { type FormFile, parseForm, refuseAmbiguousFields, writeForm } from './multipart.ts';
import { plainSignals } from './question-signals.ts';
import { type Call, type Door, type Question, serve } from './serve.ts';
import { collected } from './wording.ts';

const PLAIN_FORMATS: ReadonlySet<string> = new Set(['text', 'srt', 'vtt']);

/** `POST /v1/audio/transcriptions`: a form with a recording, for a node whose model hears. */
export const audioTranscriptions = async (call: Call, door: Door): Promise<void> => {
  const form = await parseForm(await readBytes(call.request), call.request.headers['content-type']);
  refuseAmbiguousFields(form);
  const file = await fileOf(form);
  const fields = [...form].flatMap(([name, value]) =>
    typeof value === 'string' && value !== '' && name !== 'model' && name !== 'stream' ? [[name, value] as const] : [],
  );
  const model = form.get('model');
  const question: Question = {
    route: 'audio.transcriptions',
    target: { model: typeof model === 'string' && model !== '' ? model : AUTO, capabilities: ['audio'], contextTokens: 0 },
    conversation: null,
    signals: plainSignals(0, 0),
    bodyFor: (name) => writeForm([['model', name], ...fields], file),
  };
  const collector = new BytesCollector();
  const isPlain = PLAIN_FORMATS.has(String(form.get('response_format') ?? 'json'));
  return serve(call, door, question, {
    ...collected({ push: (bytes) => collector.push(bytes), finish: () => collector.bytes() }),
    headers: { 'content-type': isPlain ? 'text/plain; charset=utf-8' : 'application/json' },
  });
};

const fileOf = async (form: FormData): Promise<FormFile> => {
  const file = form.get('file');
  if (file === null || typeof file === 'string')
    throw new CodedError('invalid_value', { message: 'file: the recording is missing.', param: 'file' });
  return {
    name: file.name,
    type: /^[\w.+-]+\/[\w.+-]+$/.test(file.type) ? file.type : 'application/octet-stream',
    bytes: new Uint8Array(await file.arrayBuffer()),
  };
};
