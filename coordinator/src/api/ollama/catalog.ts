import { CodedError } from '@lai/shared/errors';
import { modelsNamed } from '@lai/shared/model-name';
import { ModelName } from '@lai/shared/node';
import { OllamaNamedRequest } from '@lai/shared/ollama';
import { demand } from '../../access/middleware.ts';
import type { CommandFrame } from '../../nodes/running-command.ts';
import { readJsonBody } from '../openai/body.ts';
import { writeJson } from '../openai/respond.ts';
import { actorOf, type Call, type Door } from '../openai/serve.ts';
import { show } from './models.ts';
import { homeFor } from './pull-target.ts';

/** `POST /api/show` */
export const showModel = async (call: Call, door: Door): Promise<void> => {
  const { name } = await namedIn(call, door);
  demand(call.principal, 'inference.run', { model: name });
  const shown = show(door.registry.list(), name);
  if (!shown) throw unknownModel(name);
  writeJson(call.response, 200, { 'x-request-id': call.requestId }, shown);
};

/**
 * `POST /api/pull`. A model that some node has is there already, for everybody; bringing a new one into the house is the operator's to
 * decide. It goes to the node with the most room for it, and goes on when the client leaves: a download is worth finishing.
 */
export const pullModel = async (call: Call, door: Door): Promise<void> => {
  const { name, isStreaming } = await namedIn(call, door);
  demand(call.principal, 'inference.run', { model: name });
  const answer = pullAnswer(call, isStreaming);
  if (show(door.registry.list(), name)) return answer.end({ status: 'success' });
  demand(call.principal, 'node.write');
  if (!ModelName.safeParse(name).success)
    throw new CodedError('invalid_value', { message: `model: ${name} is not a model's name`, param: 'model' });
  const home = homeFor(door.registry.list());
  if (!home) throw new CodedError('no_capacity', { message: 'No node is connected that could take a model.' });
  answer.say({ status: `pulling ${name} to ${home.snapshot.name}` });
  const pull = await door.nodeCommands.run(actorOf(call), home.nodeId, { type: 'model.pull', model: name });
  for await (const frame of pull) {
    if (frame.kind === 'progress') answer.say(progressLine(frame));
    else if (frame.kind === 'failed') answer.end({ error: door.nodeCommands.sentence(home.nodeId, frame) });
    else answer.end({ status: 'success' });
  }
};

/** `DELETE /api/delete`: off every connected node that has it. */
export const deleteModel = async (call: Call, door: Door): Promise<void> => {
  const { name } = await namedIn(call, door);
  demand(call.principal, 'node.write');
  await onEveryNode(call, door, name, 'model.delete');
  call.response.writeHead(200, { 'x-request-id': call.requestId, 'content-length': 0 }).end();
};

/** What a prompt of nothing with `keep_alive: 0` asks for: out of every node's memory, politely. */
export const unloadModel = async (call: Call, door: Door, name: string): Promise<void> => {
  demand(call.principal, 'node.write');
  await onEveryNode(call, door, name, 'model.unload');
};

/** Throws what the first node that could not do it said; the others have done it nevertheless. */
const onEveryNode = async (call: Call, door: Door, name: string, type: 'model.delete' | 'model.unload'): Promise<void> => {
  const homes = door.registry.list().flatMap(({ nodeId, liveness, snapshot }) => {
    const model = liveness === 'dead' ? undefined : modelsNamed(snapshot.models, name)[0];
    return model ? [{ nodeId, model: model.id }] : [];
  });
  if (homes.length === 0) throw unknownModel(name);
  const endings = await Promise.all(
    homes.map(async ({ nodeId, model }) => {
      const running = await door.nodeCommands.run(actorOf(call), nodeId, { type, model });
      return { nodeId, ending: await running.ending() };
    }),
  );
  for (const { nodeId, ending } of endings)
    if (ending.kind === 'failed') throw new CodedError(ending.code, { message: door.nodeCommands.sentence(nodeId, ending) });
};

const progressLine = ({ stage, completedBytes, totalBytes }: Extract<CommandFrame, { kind: 'progress' }>) => ({
  status: stage,
  ...(totalBytes === null ? {} : { total: Math.round(totalBytes) }),
  ...(completedBytes === null ? {} : { completed: Math.round(completedBytes) }),
});

/** Lines as they come, or only the last one for whoever did not want to watch. */
const pullAnswer = ({ response, requestId }: Call, isStreaming: boolean) => {
  const headers = { 'x-request-id': requestId, 'cache-control': 'no-cache' };
  const say = (line: unknown): void => {
    if (!isStreaming || response.destroyed) return;
    if (!response.headersSent) response.writeHead(200, { ...headers, 'content-type': 'application/x-ndjson' });
    response.write(`${JSON.stringify(line)}\n`);
  };
  const end = (line: { status: string } | { error: string }): void => {
    say(line);
    if (isStreaming) response.end();
    else if (!response.destroyed) writeJson(response, 'error' in line ? 502 : 200, headers, line);
  };
  return { say, end };
};

const unknownModel = (name: string): CodedError =>
  new CodedError('model_not_found', { message: `model '${name}' not found`, param: 'model' });

/** What Ollama's API can do with a machine's models and a fleet cannot: the machine that has the model can. */
const ON_ONE_MACHINE = {
  copy: 'copy a model. Run `ollama cp` on a machine that has it',
  create: 'create a model. Run `ollama create` on the machine that is to have it',
  push: 'push a model. Run `ollama push` on a machine that has it',
} as const;

/** `POST /api/copy`, `/api/create`, `/api/push` and `/api/blobs/…`: says where it can be done. */
export const notHere = (operation: keyof typeof ON_ONE_MACHINE) => async (): Promise<never> => {
  throw new CodedError('unsupported_operation', {
    message: `Lai cannot ${ON_ONE_MACHINE[operation]}; Lai lists what its engine has.`,
  });
};

const namedIn = async (call: Call, door: Door): Promise<{ name: string; isStreaming: boolean }> => {
  const { value } = await readJsonBody(call.request, OllamaNamedRequest, {
    maxTextBytes: door.maxTextBodyBytes,
    isAnyMediaType: true,
  });
  if (value.model && value.name && value.model !== value.name)
    throw new CodedError('invalid_value', {
      message: `model and name name two models, ${value.model} and ${value.name}. Send one of them.`,
      param: 'name',
    });
  const name = value.model || value.name;
  if (!name) throw new CodedError('invalid_value', { message: 'model is required', param: 'model' });
  return { name, isStreaming: value.stream !== false };
};
