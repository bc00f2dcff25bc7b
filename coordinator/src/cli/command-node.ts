import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { type FleetStatus, type NodeCommand, NodeCommandEvent, type NodeView } from '@lai/shared/admin-api';
import { sameModel } from '@lai/shared/model-name';
import { askCoordinator } from './ask-coordinator.ts';

/** The node that is meant: by name or id, else the only one that comes into question. */
export const chooseNode = (status: FleetStatus, wanted: { node?: string | undefined; model?: string }): NodeView => {
  const nameOf = (node: NodeView) => node.snapshot?.name ?? node.nodeId;
  const { node: name, model } = wanted;
  const connected = status.nodes.filter(({ liveness }) => liveness !== 'offline');
  const fitting =
    name === undefined
      ? connected.filter(({ snapshot }) => !model || snapshot?.models.some(({ id }) => sameModel(id, model)))
      : connected.filter((node) => nameOf(node) === name || node.nodeId === name);
  const [found] = fitting;
  if (found && fitting.length === 1) return found;
  if (found) throw new Error(`Which node? Choose with --node: ${fitting.map(nameOf).join(', ')}.`);
  if (connected.length === 0) throw new Error('No node is connected.');
  throw new Error(
    name === undefined
      ? `No node has the model ${model}.`
      : `No node ${name} is connected. There is: ${connected.map(nameOf).join(', ')}.`,
  );
};

/**
 * Tells a node and shows what becomes of it. Ctrl-C stops what was begun; without a coordinator that hears that, it goes on there.
 * Throws how it ended when that was not well.
 */
export const commandNode = async (
  place: { url: string; key: string },
  nodeId: string,
  command: NodeCommand,
  show: (event: NodeCommandEvent) => void,
  signal?: AbortSignal,
): Promise<void> => {
  const path = `/api/v1/nodes/${encodeURIComponent(nodeId)}/commands`;
  const response = await askCoordinator(place, path, { method: 'POST', body: JSON.stringify(command), limitMs: null });
  if (!response.body) throw new Error(`${place.url} answered without saying what becomes of it.`);
  let commandId = '';
  const stop = () => void askCoordinator(place, `${path}/${commandId}`, { method: 'DELETE' }).catch(() => process.exit(1));
  process.once('SIGINT', stop);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
      const event = NodeCommandEvent.parse(JSON.parse(line));
      show(event);
      if (event.kind === 'started') commandId = event.commandId;
      if (event.kind === 'done') return;
      if (event.kind === 'failed') throw new Error(`${event.message}${event.detail ? ` (${event.detail})` : ''}`);
    }
  } finally {
    process.off('SIGINT', stop);
    signal?.removeEventListener('abort', stop);
  }
  throw new Error('The coordinator went away. What was begun goes on; `lai models list` shows how far it is.');
};
