import { styleText } from 'node:util';
import { FleetStatus } from '@lai/shared/admin-api';
import type { LoadedModel, NodeSnapshot } from '@lai/shared/node';
import { gib } from './table.ts';

/** The fleet as one screen of text. */
export const statusText = (status: FleetStatus): string => {
  const lines = [
    `Lai ${status.version}, up ${duration(status.uptimeSeconds)}, Redis ${status.redis}; ${status.running} running, ${status.waiting} waiting`,
  ];
  if (status.nodes.length === 0) lines.push('No node has connected yet. `lai tokens create` makes a token to join one.');
  for (const node of status.nodes) {
    const name = styleText('bold', node.snapshot?.name ?? node.nodeId);
    lines.push('', `${name}  ${node.liveness}${node.snapshot ? describeNode(node.snapshot) : ''}`);
    for (const model of node.snapshot?.models ?? []) lines.push(`  ${describeModel(model)}`);
    for (const trouble of node.snapshot?.troubles ?? []) lines.push(`  ! ${trouble}`);
  }
  return `${lines.join('\n')}\n`;
};

const describeNode = ({ runtimes, gpus, holds }: NodeSnapshot): string => {
  const engines = runtimes.map(
    (runtime) =>
      `${runtime.kind} ${runtime.version ?? ''} ${runtime.state}${runtime.isSimulated ? ' (SIMULATED)' : ''}${runtime.detail ? ` (${runtime.detail})` : ''}`,
  );
  const memory = gpus.map((gpu) =>
    gpu.isLost ? `${gpu.name} LOST` : `${gpu.name} ${gib(gpu.vramUsedBytes)}/${gib(gpu.vramTotalBytes)} GiB`,
  );
  const held = holds.map((hold) => `held: ${hold.kind} (${hold.cause})`);
  return ['', ...engines, ...memory, ...held].join('  ');
};

const describeModel = (model: LoadedModel): string => {
  const mark = model.state === 'warm' ? '🔥' : model.state === 'failed' ? '✗ ' : model.state === 'cold' ? '❄️ ' : '… ';
  return `${mark} ${model.id}  ${model.state}  ${model.inFlight}/${model.slots} slots  ${model.capabilities.join(', ')}`;
};

const duration = (seconds: number): string => {
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${seconds} s`;
};

export const fetchStatus = async (url: string, key: string): Promise<FleetStatus> => {
  const response = await fetch(`${url}/api/v1/status`, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(5_000),
  }).catch((error: unknown) => {
    throw new Error(`No coordinator answers at ${url}. Is it running? \`lai up\` starts one.`, { cause: error });
  });
  if (!response.ok) throw new Error(`${url} answered HTTP ${response.status}: ${(await response.text()).slice(0, 300)}`);
  return FleetStatus.parse(await response.json());
};
