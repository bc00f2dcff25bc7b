import type { FleetStatus, NodeCommand, NodeCommandEvent } from '@lai/shared/admin-api';
import { sameModel } from '@lai/shared/model-name';
import { escapedTexts, escapeObeyed } from '@lai/shared/terminal-text';
import type { Command } from 'commander';
import { chooseNode, commandNode } from './command-node.ts';
import { keyedPlace } from './place.ts';
import { remoteAdministration } from './remote-administration.ts';
import { fetchStatus } from './status.ts';
import { gib, table } from './table.ts';

/** `lai models …` and `lai pull` */
export const addModelCommands = (program: Command, withPlace: (command: Command) => Command): void => {
  const models = program.command('models').description('models on the nodes of the fleet');

  withPlace(models.command('list'))
    .description('every model on every node, and what is being downloaded')
    .option('--json', 'as JSON')
    .action(async (flags) => {
      const { url, key } = keyedPlace(flags);
      const status = await fetchStatus(url, key);
      const entries = status.nodes.map(({ nodeId, liveness, snapshot }) => ({
        ...{ nodeId, node: snapshot?.name ?? nodeId, liveness },
        ...{ models: snapshot?.models ?? [], pulls: snapshot?.pulls ?? [] },
      }));
      process.stdout.write(flags.json ? `${JSON.stringify(entries, null, 2)}\n` : modelTable(status));
    });

  const verb = (command: Command, description: string, request: (model: string) => NodeCommand): void => {
    withPlace(command)
      .description(description)
      .argument('<model>')
      .option('--node <name>', 'on which node, when several come into question')
      .option('--json', 'a line of JSON for each step')
      .action(async (model: string, flags) => {
        const place = keyedPlace(flags);
        const wish = request(model);
        const isNew = wish.type === 'model.pull';
        const node = chooseNode(await fetchStatus(place.url, place.key), { node: flags.node, ...(isNew ? {} : { model }) });
        const show = flags.json ? (event: NodeCommandEvent) => console.log(JSON.stringify(event)) : progressLine();
        await commandNode(place, node.nodeId, wish, show);
        if (!flags.json) console.log(`${model}: done on ${node.snapshot?.name ?? node.nodeId}`);
      });
  };
  verb(models.command('load'), 'into memory, before somebody asks for it', (model) => ({ type: 'model.load', model }));
  verb(models.command('unload'), 'out of memory, after what runs on it has ended', (model) => ({ type: 'model.unload', model }));
  verb(models.command('remove'), 'off the disk', (model) => ({ type: 'model.delete', model }));
  verb(program.command('pull'), 'bring a model onto a node; Ctrl-C stops, and the next pull goes on there', (model) => ({
    type: 'model.pull',
    model,
  }));

  const pin = (command: Command, description: string, change: (pinned: readonly string[], model: string) => string[]): void => {
    withPlace(command)
      .description(description)
      .argument('<model>')
      .option('--node <name>', 'on which node, when several come into question')
      .action(async (model: string, flags) => {
        const place = keyedPlace(flags);
        const { nodeId, snapshot } = chooseNode(await fetchStatus(place.url, place.key), { node: flags.node, model });
        const fleet = remoteAdministration(place);
        const pinned = (await fleet.listNodes()).find(({ id }) => id === nodeId)?.desired.pinnedModels ?? [];
        const { desired } = await fleet.changeNode(nodeId, { pinnedModels: change(pinned, model) });
        console.log(`pinned on ${snapshot?.name ?? nodeId}: ${desired.pinnedModels.join(', ') || 'nothing'}`);
      });
  };
  const without = (pinned: readonly string[], model: string) => pinned.filter((id) => !sameModel(id, model));
  pin(models.command('pin'), 'keep in memory, however long nobody asks for it', (pinned, model) => [
    ...without(pinned, model),
    model,
  ]);
  pin(models.command('unpin'), 'let it go when nobody asks for it', without);
};

export const modelTable = ({ nodes }: FleetStatus): string => {
  const rows = escapedTexts(nodes).flatMap(({ nodeId, liveness, snapshot }) => {
    const node = `${snapshot?.name ?? nodeId}${liveness === 'alive' ? '' : ` (${liveness})`}`;
    const models = (snapshot?.models ?? []).map(({ id, state, sizeBytes, contextLength, isPinned, capabilities }) => [
      id,
      node,
      `${state}${isPinned ? ', pinned' : ''}`,
      sizeBytes === null ? '?' : `${gib(sizeBytes)} GiB`,
      contextLength === null ? '?' : String(contextLength),
      capabilities.join(', '),
    ]);
    const pulls = (snapshot?.pulls ?? []).map(({ model, completedBytes, totalBytes }) => [
      model,
      node,
      `downloading${share({ completedBytes, totalBytes })}`,
    ]);
    return [...models, ...pulls];
  });
  return rows.length === 0
    ? 'There are no models yet. `lai pull <model>` brings one.\n'
    : table([['MODEL', 'NODE', 'STATE', 'SIZE', 'CONTEXT', 'CAN'], ...rows]);
};

/** Bytes: a string would be escaped. */
const LINE_ANEW = Buffer.from('\r\u001b[K');

/** On a terminal one line that changes; elsewhere a line per stage. */
export const progressLine = (): ((event: NodeCommandEvent) => void) => {
  let lastStage = '';
  return (event) => {
    const isOver = event.kind === 'done' || event.kind === 'failed';
    if (isOver && process.stderr.isTTY && lastStage) process.stderr.write('\n');
    if (event.kind !== 'progress') return;
    if (process.stderr.isTTY) {
      process.stderr.write(LINE_ANEW);
      process.stderr.write(`${escapeObeyed(event.stage)}${share(event)}`);
    } else if (event.stage !== lastStage) process.stderr.write(`${event.stage}\n`);
    lastStage = event.stage;
  };
};

const share = ({ completedBytes, totalBytes }: { completedBytes: number | null; totalBytes: number | null }): string =>
  completedBytes === null || !totalBytes
    ? ''
    : `, ${Math.floor((100 * completedBytes) / totalBytes)} % of ${gib(totalBytes)} GiB`;
