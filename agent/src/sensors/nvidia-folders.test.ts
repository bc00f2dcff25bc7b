import { describe, expect, it } from 'vitest';
import { nvidiaFolders } from './nvidia-folders.ts';
import { nvidiaSearchPath } from './nvidia-search-path.ts';

const windows = { systemRoot: 'C:\\Windows', programFiles: 'C:\\Program Files' };

describe('where Windows keeps nvidia-smi', () => {
  it('is System32, then the newest driver folder, then the old program folder', () => {
    const driverStore = [
      { path: 'old', changedMs: 1 },
      { path: 'new', changedMs: 3 },
      { path: 'middle', changedMs: 2 },
    ];
    expect(nvidiaFolders({ ...windows, driverStore })).toEqual([
      'C:\\Windows\\System32',
      'new',
      'C:\\Program Files\\NVIDIA Corporation\\NVSMI',
    ]);
  });

  it('does without a driver store', async () => {
    const environment = { Path: 'C:\\Tools', SystemRoot: 'D:\\Windows', ProgramFiles: 'D:\\Programs' };
    expect(await nvidiaSearchPath({ platform: 'win32', environment })).toBe(
      'D:\\Windows\\System32;D:\\Programs\\NVIDIA Corporation\\NVSMI;C:\\Tools',
    );
  });

  it('is PATH elsewhere, and inside WSL a folder that PATH does not name', async () => {
    expect(await nvidiaSearchPath({ platform: 'linux', environment: { PATH: '/usr/bin' } })).toBe('/usr/bin:/usr/lib/wsl/lib');
    expect(await nvidiaSearchPath({ platform: 'darwin', environment: { PATH: '/usr/bin' } })).toBe('/usr/bin');
  });
});
