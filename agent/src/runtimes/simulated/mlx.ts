import { OpenAiDoor, sendJson } from './openai-door.ts';

/** From mlx_lm/server.py as of 2026-08: no health to speak of, lengths are demanded, every failure is a 404, comments while it reads. */
export const startSimulatedMlx = async (options: { models: readonly string[]; port?: number }) => {
  const loads: string[] = [];
  const door = new OpenAiDoor({
    prelude: ': keepalive 0/3\n\n: keepalive 3/3\n\n',
    answer: ({ method, path, request, response }) => {
      if (method === 'POST' && request.headers['content-length'] === undefined)
        sendJson(response, 411, { error: 'Content-Length is required' });
      else if (method === 'GET' && path === '/health') sendJson(response, 200, { status: 'ok' });
      else if (method === 'GET' && path === '/v1/models')
        sendJson(response, 200, { object: 'list', data: options.models.map((id) => ({ id, object: 'model' })) });
      else return false;
      return true;
    },
    refuse: ({ body }) => {
      const model = String(body['model']);
      if (!options.models.includes(model))
        return { status: 404, body: { error: `404 Client Error. Repository Not Found for ${model}` } };
      if (JSON.stringify(body).includes('#fail')) return { status: 404, body: { error: '[metal::malloc] out of memory' } };
      if (JSON.stringify(body).includes('#odd')) return { status: 404, body: { error: 'unsupported operand type(s) for +' } };
      if (loads.at(-1) !== model) loads.push(model);
      return null;
    },
  });
  const url = await door.open(options.port);
  return { url, door, loads };
};
