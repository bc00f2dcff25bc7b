import { CodedError } from '@lai/shared/errors';
import { type ResponseItem, ResponseRequest } from '@lai/shared/responses';
import { systemClock } from '../../dispatch/clock.ts';
import { readJsonBody } from './body.ts';
import { type ChatDelta, ChatDeltas } from './chat-deltas.ts';
import { chatQuestion } from './chat-question.ts';
import { openAiSentence } from './context-length.ts';
import { errorResponse } from './error-envelope.ts';
import { ignoredFields, ignoredHeader } from './field-table.ts';
import { RESPONSE_FIELDS } from './fields.ts';
import { jsonOf } from './foreign-json.ts';
import { canThink } from './models.ts';
import { RememberedItems } from './remembered-items.ts';
import { chatFromResponse, ignoredInResponse } from './responses-input.ts';
import { ResponseComposer } from './responses-output.ts';
import { offerTools } from './responses-tools.ts';
import { type Call, type Door, serve } from './serve.ts';
import { sseWording, type Wording } from './wording.ts';

/** `POST /v1/responses`, without a store behind it: said to the runtime as chat, and its answer said back as a response. */
export const responses =
  (remembered: RememberedItems = new RememberedItems()) =>
  async (call: Call, door: Door): Promise<void> => {
    const { value: request } = await readJsonBody(call.request, ResponseRequest, { maxTextBytes: door.maxTextBodyBytes });
    const { keyId } = call.principal;
    // Before its items are looked for: a request that is refused says why.
    ignoredFields(RESPONSE_FIELDS, request);
    const items = itemsOf(request, (id) => remembered.find(keyId, id, call.receivedAtMs));
    const offer = offerTools(request.tools ?? []);
    const able = { canThink: canThink(door.registry.list(), request.model) };
    const composer = new ResponseComposer({
      request,
      model: request.model ?? 'auto',
      offered: offer.offered,
      createdAtSeconds: Math.floor(Date.now() / 1_000),
    });
    const remember = () => {
      if (request.store !== false) remembered.remember(keyId, composer.output as ResponseItem[], systemClock.nowMs());
    };
    const chat = chatFromResponse(request, items, { offer, ...able });
    const headers = ignoredHeader(ignoredInResponse(request, items, able));
    return serve(
      call,
      door,
      chatQuestion(chat),
      wordingOf(composer, { isStreaming: request.stream === true, onComplete: remember, headers }),
    );
  };

const wordingOf = (
  composer: ResponseComposer,
  options: { isStreaming: boolean; onComplete: () => void; headers: Record<string, string> },
): Wording => {
  const deltas = new ChatDeltas();
  if (!options.isStreaming) {
    return {
      kind: 'whole',
      headers: options.headers,
      error: errorResponse,
      push: (bytes) => {
        for (const delta of deltas.push(bytes)) composer.take(delta);
      },
      finish: () => {
        for (const delta of deltas.finish()) composer.take(delta);
        const { response } = composer.complete();
        options.onComplete();
        return response;
      },
    };
  }
  const takeAll = (taken: readonly ChatDelta[]) => [...composer.start(), ...taken.flatMap((delta) => composer.take(delta))];
  return {
    ...sseWording,
    headers: options.headers,
    error: errorResponse,
    chunk: (_, bytes) => eventsText(takeAll(deltas.push(bytes))),
    end: () => {
      const last = takeAll(deltas.finish());
      const { events } = composer.complete();
      options.onComplete();
      return eventsText([...last, ...events]);
    },
    failed: (failure) => eventsText(composer.fail({ ...failure, message: openAiSentence(failure) })),
  };
};

const eventsText = (events: readonly Record<string, unknown>[]): string =>
  events.map((event) => `event: ${event['type']}\ndata: ${jsonOf(event)}\n\n`).join('');

const itemsOf = (request: ResponseRequest, find: (id: string) => ResponseItem | null): ResponseItem[] => {
  if (typeof request.input === 'string') return [{ role: 'user', content: request.input }];
  return request.input.map((item, index) => {
    if (item.type !== 'item_reference') return item;
    const known = find(item.id ?? '');
    if (known) return known;
    throw new CodedError('invalid_value', {
      message: `input[${index}]: Lai does not know the item ${item.id} (any more). Send the items themselves; store: false makes most clients do so.`,
      param: `input[${index}].id`,
    });
  });
};
