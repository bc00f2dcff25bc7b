import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';
import { FleetStatus, type LearnedSpeeds, type NodeEntry, type NodeView } from '@lai/shared/admin-api';
import type { Gpu, LoadedModel, NodeSnapshot } from '@lai/shared/node';
import { readinessOf, readinessText } from '@lai/shared/readiness';
import { escapedTexts } from '@lai/shared/terminal-text';
import type { Command } from 'commander';
import { type Asked, askCoordinator, readAs } from './ask-coordinator.ts';
import { examples, withJson, withPlace } from './options.ts';
import { keyedPlace } from './place.ts';
import { adminCall } from './remote-administration.ts';
import { gib, when } from './table.ts';

const WATCH_MS = 2_000;
/** Bytes: a string would be escaped. */
const CLEAR_SCREEN = Buffer.from('\u001b[H\u001b[J');

/** `lai status` */
export const addStatusCommand = (program: Command): void => {
  const command = withJson(withPlace(program.command('status')))
    .description('the fleet: machines, GPU memory, models, what runs and waits, and what is wrong')
    .option('-w, --wide', 'also load, heat, power, pins, learned speeds, versions and when each was last here')
    .option('--watch', 'show it anew every two seconds, until Ctrl-C')
    .action(async (flags) => {
      const place = keyedPlace(flags);
      const page = async (): Promise<string> => {
        const status = await fetchStatus(place.url, place.key);
        if (flags.json) return `${JSON.stringify(status, null, 2)}\n`;
        const entries = await adminCall(place)('GET /api/v1/nodes').catch(() => []);
        return statusText(status, { entries, nowMs: Date.now(), isWide: flags.wide === true });
      };
      if (!flags.watch) return void process.stdout.write(await page());
      for (;;) {
        const text = await page().catch((error: unknown) => `${error instanceof Error ? error.message : String(error)}\n`);
        if (process.stdout.isTTY && !flags.json) process.stdout.write(CLEAR_SCREEN);
        process.stdout.write(text);
        await pause(WATCH_MS);
      }
    });
  examples(command, 'lai status', 'lai status --wide --watch', "lai status --json | jq '.nodes[].snapshot.name'");
};

export interface StatusFacts {
  /** What the coordinator keeps of each machine, also of those that are not connected. */
  readonly entries: readonly NodeEntry[];
  readonly nowMs: number;
  readonly isWide: boolean;
}

/** The fleet as one screen of text. Pure. */
export const statusText = (said: FleetStatus, facts: StatusFacts): string => {
  const status = escapedTexts(said);
  const { entries, nowMs, isWide } = escapedTexts(facts);
  const lines = [
    `Lai ${status.version}, up ${duration(status.uptimeSeconds)}, Redis ${status.redis}; ${status.running} running, ${status.waiting} waiting`,
  ];
  if (status.nodes.length === 0 && entries.length === 0)
    lines.push('No node has connected yet. `lai join-command --os linux` prints the line that lets a machine join.');
  for (const node of status.nodes) {
    const entry = entries.find(({ id }) => id === node.nodeId);
    const name = node.snapshot?.name ?? entry?.name ?? node.nodeId;
    const seen = node.liveness === 'offline' && entry ? `, last here ${when(entry.lastConnectedAtMs)}` : '';
    lines.push('', `${styleText('bold', name)}  ${node.liveness}${seen}${node.snapshot ? describeNode(node.snapshot) : ''}`);
    if (!node.snapshot) continue;
    const readiness = readinessOf(node.snapshot);
    if (readiness.kind !== 'ready' && node.liveness !== 'offline')
      lines.push(`  ${styleText('yellow', readinessText(readiness))}`);
    for (const trouble of node.snapshot.troubles ?? []) lines.push(`  ${styleText('yellow', trouble)}`);
    if (isWide) lines.push(...wideLines(node.snapshot, entry));
    for (const model of node.snapshot.models)
      lines.push(`  ${describeModel(model, isWide ? wideModel(model, node, nowMs) : '')}`);
  }
  const connected = new Set(status.nodes.map(({ nodeId }) => nodeId));
  for (const entry of entries.filter(({ id, state }) => !connected.has(id) && state !== 'revoked'))
    lines.push('', `${styleText('bold', entry.name)}  away, last here ${when(entry.lastConnectedAtMs)}${stateWord(entry)}`);
  return `${lines.join('\n')}\n`;
};

const stateWord = ({ state }: NodeEntry): string =>
  state === 'pending' ? '  waits for `lai nodes approve`' : state === 'approved' ? '' : `  ${state}`;

const describeNode = ({ runtimes, gpus, holds }: NodeSnapshot): string => {
  const engines = runtimes.map(
    (runtime) =>
      `${runtime.kind} ${runtime.version ?? ''} ${runtime.state}${runtime.isSimulated ? ' (SIMULATED)' : ''}${runtime.detail ? ` (${runtime.detail})` : ''}`,
  );
  const memory = gpus.map((gpu) =>
    gpu.isLost ? `${gpu.name} LOST` : `${gpu.name} ${gib(gpu.vramUsedBytes)}/${gib(gpu.vramTotalBytes)} GiB`,
  );
  const held = holds.map(
    (hold) => `held: ${hold.kind} (${hold.cause}${hold.untilMs === null ? '' : `, until ${when(hold.untilMs)}`})`,
  );
  return ['', ...engines, ...memory, ...held].join('  ');
};

const wideLines = (snapshot: NodeSnapshot, entry: NodeEntry | undefined): string[] => {
  const { os, agentVersion, memory, modelDiskFreeBytes, pulls = [] } = snapshot;
  const machine = [
    `agent ${agentVersion}`,
    `${os.platform} ${os.arch}`,
    `${gib(memory.freeBytes)} of ${gib(memory.totalBytes)} GiB memory free`,
    modelDiskFreeBytes === null ? null : `${gib(modelDiskFreeBytes)} GiB of disk free`,
    entry ? `connected ${when(entry.lastConnectedAtMs)} from ${entry.lastAddress ?? '?'}` : null,
  ];
  return [
    `  ${machine.filter((word) => word !== null).join(', ')}`,
    ...snapshot.gpus.map((gpu) => `  ${gpuWords(gpu)}`),
    ...pulls.map(
      ({ model, completedBytes, totalBytes }) => `  downloading ${model}, ${gib(completedBytes)} of ${gib(totalBytes)} GiB`,
    ),
  ];
};

const gpuWords = (gpu: Gpu): string =>
  [
    gpu.name,
    gpu.utilization === null ? null : `${Math.round(gpu.utilization * 100)} % busy`,
    gpu.temperatureCelsius === null ? null : `${Math.round(gpu.temperatureCelsius)} °C`,
    gpu.powerWatts === null ? null : `${Math.round(gpu.powerWatts)} W`,
    gpu.driverVersion === null ? null : `driver ${gpu.driverVersion}`,
  ]
    .filter((word) => word !== null)
    .join(', ');

const describeModel = (model: LoadedModel, more: string): string => {
  const mark = model.state === 'warm' ? '🔥' : model.state === 'failed' ? '✗ ' : model.state === 'cold' ? '❄️ ' : '… ';
  const why = model.failure ? `  ${model.failure.message}` : '';
  return `${mark} ${model.id}  ${model.state}  ${model.inFlight}/${model.slots} slots  ${model.capabilities.join(', ')}${more}${why}`;
};

const wideModel = (model: LoadedModel, node: NodeView, nowMs: number): string => {
  const speeds: LearnedSpeeds | undefined = node.speeds?.[model.id];
  const words = [
    model.isPinned ? 'pinned' : null,
    model.sizeBytes === null ? null : `${gib(model.sizeBytes)} GiB`,
    model.contextLength === null ? null : `context ${model.contextLength}`,
    model.expiresAtMs === null ? null : `unloads in ${duration(Math.max(0, Math.round((model.expiresAtMs - nowMs) / 1_000)))}`,
    speeds?.tokensPerSecond ? `${speeds.tokensPerSecond.toFixed(0)} tokens/s` : null,
    speeds?.firstContentMs ? `first token ${(speeds.firstContentMs / 1_000).toFixed(1)} s` : null,
    speeds?.loadMs ? `loads in ${(speeds.loadMs / 1_000).toFixed(1)} s` : null,
  ].filter((word) => word !== null);
  return words.length === 0 ? '' : `  ${words.join(', ')}`;
};

const duration = (seconds: number): string => {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${seconds} s`;
};

export const fetchStatus = async (url: string, key: string): Promise<FleetStatus> => {
  const place: Asked = { url, key };
  return readAs(FleetStatus, await askCoordinator(place, '/api/v1/status'), url);
};
