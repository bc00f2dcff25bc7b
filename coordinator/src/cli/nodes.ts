import { styleText } from 'node:util';
import type { NodeEntry } from '@lai/shared/admin-api';
import { UsageError } from '@lai/shared/command-failure';
import { GAMING_MODES, type NodeDesired } from '@lai/shared/node';
import { escapedTexts } from '@lai/shared/terminal-text';
import type { Command } from 'commander';
import type { Administration } from '../access/administration.ts';
import { administer } from './administer.ts';
import { type Place, placeOf } from './place.ts';
import { fetchStatus } from './status.ts';
import { secondsOf, table, when } from './table.ts';

/** `lai nodes …` */
export const addNodeCommands = (program: Command, withPlace: (command: Command) => Command): void => {
  const nodes = program.command('nodes').description('machines that have joined');
  const place = (flags: Record<string, unknown>) => placeOf(flags, process.env);

  withPlace(nodes.command('list'))
    .option('--json', 'as JSON')
    .action((flags) =>
      administer(place(flags), async (fleet) => {
        const entries = await fleet.listNodes();
        process.stdout.write(flags.json ? `${JSON.stringify(entries, null, 2)}\n` : nodeTable(entries));
      }),
    );

  const verb = (
    name: string,
    description: string,
    act: (fleet: Administration, id: string, flags: Record<string, unknown>) => Promise<NodeEntry>,
    follows?: (entry: NodeEntry, flags: Record<string, unknown>) => string,
  ): Command =>
    withPlace(nodes.command(name))
      .description(description)
      .argument('<node>', 'its name or id')
      .action((node: string, ...rest: unknown[]) => {
        const command = rest.at(-1) as Command;
        const flags = command.opts();
        return administer(place(flags), async (fleet) => {
          const { id } = find(await fleet.listNodes(), node);
          const entry = await act(fleet, id, { ...flags, value: rest[0] });
          process.stdout.write(nodeTable([entry]));
          const sentence = follows?.(entry, flags);
          if (sentence) process.stderr.write(`${await whenHeard(place(flags), entry, sentence)}\n`);
        });
      });

  verb('approve', 'let a pending or locked node work; compare the fingerprint first', (fleet, id) => fleet.approveNode(id));
  verb('revoke', 'put a node out at once and for good', (fleet, id) => fleet.revokeNode(id));
  verb('remove', 'forget a node; its machine can join anew', (fleet, id) => fleet.removeNode(id));
  verb('rename', 'call a node something else', (fleet, id, { value }) => fleet.changeNode(id, { name: String(value) })).argument(
    '<name>',
    'its new name',
  );
  verb('group', 'make a node part of another group', (fleet, id, { value }) =>
    fleet.changeNode(id, { group: String(value) }),
  ).argument('<group>', 'the group');
  verb(
    'drain',
    'give a node no more work; what runs there finishes',
    (fleet, id, { off }) => fleet.changeNode(id, { isDraining: off !== true }),
    ({ name }, { off }) => (off ? `${name} takes work again` : `${name} takes no new work, and what runs there finishes`),
  ).option('--off', 'give it work again');

  withPlace(program.command('gaming'))
    .description("leave a node's GPU to its owner, or not; the owner has the last word")
    .argument('<node>', 'its name or id')
    .argument('<mode>', 'on, off, or auto: as the node sees fit')
    .option('--for <time>', 'for so long: 90s, 30m, 2h, 1d')
    .action((node: string, mode: string, flags) =>
      administer(place(flags), async (fleet) => {
        const wanted = GAMING_MODES.find((known) => known === mode);
        if (!wanted) throw new UsageError(`There is no gaming mode "${mode}": on, off or auto.`);
        const { id } = find(await fleet.listNodes(), node);
        const forSeconds = flags.for ? { forSeconds: secondsOf(flags.for) } : {};
        const entry = await fleet.changeNode(id, { gaming: { mode: wanted, ...forSeconds } });
        process.stdout.write(nodeTable([entry]));
        process.stderr.write(`${await whenHeard(place(flags), entry, GAMING_WORDS[wanted](entry.name))}\n`);
      }),
    );
};

const GAMING_WORDS = {
  on: (name: string) => `${name} gives its GPU back to its owner, unless its own policy says otherwise`,
  off: (name: string) => `${name} serves, games or not, unless its own policy says otherwise`,
  auto: (name: string) => `${name} decides by itself when its owner plays`,
} as const;

/** What was done, and when the machine does it: wishes are kept until it has heard of them. */
const whenHeard = async ({ url, key }: Place, { id, name }: NodeEntry, sentence: string): Promise<string> => {
  const status = key === null ? null : await fetchStatus(url, key).catch(() => null);
  if (status === null) return `${sentence}, as soon as a coordinator runs and ${name} is connected.`;
  const isHere = status.nodes.some(({ nodeId, liveness }) => nodeId === id && liveness !== 'offline');
  return isHere ? `${sentence}.` : `${sentence}. It is away; it will be told when it is back.`;
};

/** By id, or by name where only one is called so. */
const find = (entries: readonly NodeEntry[], wanted: string): NodeEntry => {
  const byId = entries.find(({ id }) => id === wanted);
  const byName = entries.filter(({ name }) => name === wanted);
  const living = byName.filter(({ state }) => state !== 'revoked');
  const found = byId ?? (byName.length === 1 ? byName[0] : living.length === 1 ? living[0] : undefined);
  if (found) return found;
  throw new Error(byName.length > 1 ? `Several nodes are called ${wanted}; use the id.` : `There is no node ${wanted}.`);
};

const wishes = ({ isDraining, pinnedModels, gaming }: NodeDesired): string => {
  const until = gaming?.untilMs ? ` until ${when(gaming.untilMs)}` : '';
  const words = [
    isDraining ? 'drain' : '',
    gaming ? `gaming ${gaming.mode}${until}` : '',
    pinnedModels.length > 0 ? `${pinnedModels.length} pinned` : '',
  ];
  return words.filter((word) => word !== '').join(', ') || '-';
};

const COLOURS = { pending: 'yellow', approved: 'green', revoked: 'dim', locked: 'red' } as const;

export const nodeTable = (said: readonly NodeEntry[]): string => {
  const entries = escapedTexts(said);
  return (
    table([
      ['NAME', 'STATE', 'WISHES', 'GROUP', 'FINGERPRINT', 'LAST SEEN', 'FROM', 'ID'],
      ...entries.map((entry) => [
        entry.name,
        styleText(COLOURS[entry.state], entry.state),
        wishes(entry.desired),
        entry.group,
        entry.fingerprint,
        when(entry.lastConnectedAtMs),
        `${entry.lastAddress ?? '-'}${entry.lastTransport === 'plain' ? styleText('red', ' INSECURE (no TLS)') : ''}`,
        entry.id,
      ]),
    ]) + entries.flatMap(({ name, state, stateReason }) => (state === 'locked' ? [`${name}: ${stateReason}\n`] : [])).join('')
  );
};
