import { describe, expect, it } from 'vitest';
import { type CommandRequest, RunningCommand } from '../nodes/running-command.ts';
import { CommandRelay } from './command-relay.ts';
import { decodeEnvelope, encodeEnvelope, encodeItem, type Item } from './envelope.ts';

/** Two replicas that hear each other at once; `told` is what the node that is connected to the second one was told. */
const pair = () => {
  const told: { request: CommandRequest; command: RunningCommand }[] = [];
  const session = {
    command: (request: CommandRequest, commandId = '') => {
      const command = new RunningCommand({ commandId, type: request.type, onCancel: () => {} });
      told.push({ request, command });
      return command;
    },
  };
  const relays: Record<string, CommandRelay> = {};
  const replica = (id: string, nodes: object) => {
    const send = (to: string, item: Item) => {
      // As over Redis: as bytes.
      const heard = decodeEnvelope(encodeEnvelope(id, [encodeItem(item)]));
      for (const each of heard?.items ?? []) queueMicrotask(() => relays[to]?.take(id, each));
    };
    relays[id] = new CommandRelay({ replicas: { send, onBeat: () => {} } as never, session: () => nodes as never });
    return relays[id];
  };
  replica('owner', session);
  const origin = replica('origin', {});
  return { told, link: origin.link({ nodeId: 'n', replicaId: 'owner' } as never) };
};

describe('a command for a node of another replica', () => {
  const release = { text: '{}', signature: `${'A'.repeat(86)}==` };
  it.each<CommandRequest>([
    { type: 'model.load', model: 'm' },
    { type: 'model.delete', model: 'm' },
    { type: 'node.update', release, isForced: true },
    { type: 'node.update', release: { ...release, text: 'x'.repeat(16_000) }, isForced: false },
  ])('$type arrives whole, and its ending comes back', async (request) => {
    const { told, link } = pair();
    const ending = link.command(request).ending();
    await expect.poll(() => told).toHaveLength(1);
    expect(told[0]?.request).toEqual(request);
    told[0]?.command.take({ kind: 'failed', code: 'update_refused', detail: 'no' });
    expect(await ending).toEqual({ kind: 'failed', code: 'update_refused', detail: 'no' });
  });
});
