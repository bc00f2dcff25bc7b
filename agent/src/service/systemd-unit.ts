import { dirname } from 'node:path';
import type { Installation } from './service.ts';

/**
 * Pure. The unit file. For the machine it is as closed as engines on a GPU allow; what is left open, and why, stands in DESIGN.md.
 * Checked by `systemd-analyze verify` and `security`; the oldest systemd it is for is 247 (Debian 11).
 */
export const unitText = (installation: Installation): string => {
  const { scope, command, account, environment, dataDir } = installation;
  const isSystem = scope === 'system';
  return [
    '# Written by `lai-agent service install`; changes are lost. Own settings: systemctl edit lai-agent',
    '[Unit]',
    'Description=Lai agent: puts the GPU of this machine into a fleet',
    ...(isSystem
      ? ['Wants=network-online.target', 'After=network-online.target ollama.service nvidia-persistenced.service']
      : []),
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=exec',
    `ExecStart=${command.map(quoted).join(' ')}`,
    ...Object.entries(environment).map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`),
    ...(account === null ? [] : [`User=${account}`, `Group=${account}`]),
    'Restart=always',
    'RestartSec=2',
    '# 75: start again with another version.',
    'SuccessExitStatus=75',
    'KillMode=mixed',
    'TimeoutStopSec=30',
    'UMask=0077',
    ...(isSystem ? hardening(dataDir, dirname(command[0])) : ['NoNewPrivileges=yes']),
    '',
    '[Install]',
    `WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}`,
    '',
  ].join('\n');
};

/**
 * No PrivateDevices, and no ProtectClock either: it implies a DeviceAllow, which closes every device that is not named, GPUs first. No
 * MemoryDenyWriteExecute: V8 and CUDA compile. No ProtectProc: games are other people's processes.
 */
const hardening = (dataDir: string, programDir: string): string[] => [
  `WorkingDirectory=${dataDir}`,
  ...(dataDir === '/var/lib/lai' ? ['StateDirectory=lai', 'StateDirectoryMode=0700'] : []),
  `ReadWritePaths=${programDir}`,
  'ProtectSystem=strict',
  'ProtectHome=read-only',
  'PrivateTmp=yes',
  'NoNewPrivileges=yes',
  'CapabilityBoundingSet=',
  'AmbientCapabilities=',
  'ProtectControlGroups=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'RemoveIPC=yes',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallErrorNumber=EPERM',
];

/** `%` and `$` mean something to systemd. */
const quoted = (word: string): string => {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[A-Za-z0-9_./=:@%$+,-]+$/.test(word) ? escaped : `"${escaped}"`;
};
