import type { NodeCommand, NodeCommandEvent } from '@lai/shared/admin-api';
import { actorOf, type Call, type Door } from '../openai/serve.ts';

/**
 * `POST /api/v1/nodes/:id/commands`: what becomes of it, a line of JSON for each step. It goes on when the client leaves; the id in the
 * first line is what stops it.
 */
export const commandNode = async (
  call: Call,
  { nodeCommands }: Door,
  { nodeId, command }: { nodeId: string; command: NodeCommand },
): Promise<void> => {
  const { response, requestId } = call;
  const running = await nodeCommands.run(actorOf(call), nodeId, command);
  const say = (event: NodeCommandEvent) => response.write(`${JSON.stringify(event)}\n`);
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-cache', 'x-request-id': requestId });
  say({ kind: 'started', commandId: running.commandId });
  for await (const frame of running) {
    if (response.destroyed) return;
    say(frame.kind === 'failed' ? { ...frame, message: nodeCommands.sentence(nodeId, frame) } : frame);
  }
  response.end();
};
