import { CodedError } from '@lai/shared/errors';
import { OllamaNamedRequest } from '@lai/shared/ollama';
import { demand } from '../../access/middleware.ts';
import { readJsonBody } from '../openai/body.ts';
import { writeJson } from '../openai/respond.ts';
import type { Call, Door } from '../openai/serve.ts';
import { show } from './models.ts';

/** `POST /api/show` */
export const showModel = async (call: Call, door: Door): Promise<void> => {
  const name = await nameOf(call, door);
  const shown = show(door.registry.list(), name);
  if (!shown) throw new CodedError('model_not_found', { message: `model '${name}' not found`, param: 'model' });
  writeJson(call.response, 200, { 'x-request-id': call.requestId }, shown);
};

/** `POST /api/pull`. A model that a node has already is pulled; bringing a new one is the operator's to decide. */
export const pullModel = async (call: Call, door: Door): Promise<void> => {
  const name = await nameOf(call, door);
  if (!show(door.registry.list(), name)) {
    throw new CodedError('permission_denied', {
      message: `No node has ${name}, and models are not brought to nodes through this API. Pull it on the node itself.`,
    });
  }
  writeJson(
    call.response,
    200,
    { 'x-request-id': call.requestId, 'content-type': 'application/x-ndjson' },
    { status: 'success' },
  );
};

/** `DELETE /api/delete` */
export const deleteModel = async (call: Call, door: Door): Promise<void> => {
  const name = await nameOf(call, door);
  throw new CodedError('permission_denied', {
    message: `Models are not deleted through this API: ${name} may be on several nodes. Delete it on the node itself.`,
  });
};

const nameOf = async (call: Call, door: Door): Promise<string> => {
  const { value } = await readJsonBody(call.request, OllamaNamedRequest, {
    maxTextBytes: door.maxTextBodyBytes,
    isAnyMediaType: true,
  });
  const name = value.model ?? value.name;
  if (name === undefined) throw new CodedError('invalid_value', { message: 'model is required', param: 'model' });
  demand(call.principal, 'inference.run', { model: name });
  return name;
};
