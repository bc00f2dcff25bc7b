import { type ChildProcess, execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Kills a shell and the one program that it runs. Killing the shell alone leaves the program: whether `sh -c` becomes its command
 * or waits for it differs from shell to shell, and cmd.exe always waits.
 */
export function killShell(shell: ChildProcess): void {
  if (shell.pid === undefined || shell.exitCode !== null || shell.signalCode !== null) return;
  if (process.platform === 'win32') {
    execFile('taskkill', ['/T', '/F', '/PID', String(shell.pid)], { timeout: 3_000, windowsHide: true }, () =>
      shell.kill('SIGKILL'),
    );
    return;
  }
  const children = childrenOf(shell.pid);
  for (const pid of children) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone in between.
    }
  }
  // A shell that waits ends with its child, and takes the child's exit status with it; killed first, it would leave a zombie to init.
  if (children.length === 0) shell.kill('SIGKILL');
}

/** Linux only; NVIDIA's program runs on no other POSIX system that we serve. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter((text) => text.trim() !== '')
      .map(Number);
  } catch {
    return [];
  }
}
