/**
 * A clean Debian with systemd as its process 1, in namespaces of this machine: what a bare server is, apart from kernel and network, which
 * it shares with us. Needs root, debootstrap, and (once) a Debian mirror; the bare system is kept in ~/.cache/lai.
 */
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { engineCacheDir, onPath } from '../engines/cache.ts';
import { run } from '../engines/command.ts';

const SUITE = 'bookworm';
const PACKAGES = ['systemd', 'systemd-sysv', 'curl', 'ca-certificates', 'openssl', 'procps', 'sudo'];
const BOOT_LIMIT_MS = 60_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Units that want a terminal, a disk or the night. */
const MASKED = [
  ...['console-getty.service', 'getty-static.service', 'getty@.service', 'getty.target', 'e2scrub_reap.service'],
  ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer', 'fstrim.timer'],
  ...['systemd-timesyncd.service', 'systemd-networkd.service', 'systemd-udevd.service', 'systemd-logind.service'],
];

/** Why there is none on this machine; null: there can be. */
export const noMachineBecause = (): string | null => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a Debian of its own needs Linux and root';
  const missing = ['debootstrap', 'unshare', 'nsenter', 'setpriv', 'pivot_root'].filter((tool) => !onPath(tool));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  const { status, stderr } = spawnSync('unshare', ['--mount', '--pid', '--fork', '--cgroup', 'true'], { encoding: 'utf8' });
  return status === 0 ? null : `no namespaces here: ${stderr.trim()}`;
};

/** The bare system, made once. */
const bareSystem = async (): Promise<string> => {
  const dir = join(engineCacheDir(), 'debian', `${SUITE}-${PACKAGES.join('+')}`);
  if (existsSync(dir)) return dir;
  mkdirSync(join(dir, '..'), { recursive: true });
  const draft = `${dir}.${process.pid}`;
  const made = await run('debootstrap', ['--variant=minbase', `--include=${PACKAGES.join(',')}`, SUITE, draft], {
    limitMs: 300_000,
  });
  if (!made.ok) {
    rmSync(draft, { recursive: true, force: true });
    throw new Error(`debootstrap: ${made.lastLine}`);
  }
  renameSync(draft, dir);
  return dir;
};

/** A control group of our own first, so that what systemd makes can be found and taken away. */
const ENTER_GROUP = `
set -e
mount -t cgroup2 cgroup2 "$1/mnt"
mkdir -p "$1/mnt/$2"
echo $$ >"$1/mnt/$2/cgroup.procs"
umount "$1/mnt"
exec unshare --pid --fork --uts --ipc --cgroup --kill-child sh -c "$3" sh "$1"
`;
const BOOT = `
set -e
# A root of its own and not a chroot: systemd gives services namespaces, which starts from a mount point.
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for each in null zero full random urandom tty; do touch dev/$each; mount --bind /dev/$each dev/$each; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . mnt
umount -l mnt
exec env -i container=lai PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal
`;
const LEAVE_GROUP = `mount -t cgroup2 cgroup2 "$1/mnt" && find "$1/mnt/$2" -depth -type d -exec rmdir {} +`;

export class DebianMachine {
  readonly dir: string;
  readonly root: string;
  readonly #group: string;
  #init = 0;
  #unshare = 0;

  private constructor(dir: string) {
    this.dir = dir;
    this.root = join(dir, 'root');
    this.#group = `lai-e2e-${process.pid}-${Date.now()}`;
  }

  static async boot(): Promise<DebianMachine> {
    const machine = new DebianMachine(mkdtempSync(join(tmpdir(), 'lai-debian-')));
    execFileSync('cp', ['-a', '--reflink=auto', await bareSystem(), machine.root]);
    for (const unit of MASKED) {
      const path = join(machine.root, 'etc/systemd/system', unit);
      rmSync(path, { recursive: true, force: true });
      symlinkSync('/dev/null', path);
    }
    writeFileSync(join(machine.root, 'etc/hostname'), 'bare-metal\n');
    writeFileSync(join(machine.root, 'etc/hosts'), '127.0.0.1 localhost bare-metal\n');
    await machine.start();
    return machine;
  }

  async start(): Promise<void> {
    const boot = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', ENTER_GROUP, 'sh', this.root, this.#group, BOOT];
    // Goes with us, however we go.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...boot], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    this.#unshare = child.pid ?? 0;
    const deadline = performance.now() + BOOT_LIMIT_MS;
    let state = 'not started';
    while (performance.now() < deadline && child.exitCode === null) {
      this.#init ||= systemdBelow(this.#unshare);
      state = this.#init > 0 ? this.try('systemctl is-system-running').stdout.trim() : state;
      if (state === 'running' || state === 'degraded') return;
      await pause(200);
    }
    await this.stop();
    throw new Error(`systemd did not start (${state}): ${said.slice(-500)}`);
  }

  /** As pulling the plug. */
  async halt(): Promise<void> {
    const pids = [this.#init, this.#unshare].filter((pid) => pid > 0);
    for (const pid of pids) killIfThere(pid);
    while (pids.some((pid) => existsSync(`/proc/${pid}`))) await pause(20);
    this.#init = 0;
    this.#unshare = 0;
  }

  async stop(): Promise<void> {
    await this.halt();
    spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', LEAVE_GROUP, 'sh', this.root, this.#group]);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  #inside(line: string, env: Record<string, string>): string[] {
    const words = Object.entries({ PATH, HOME: '/root', ...env }).map(([name, value]) => `${name}=${value}`);
    return ['-t', String(this.#init), '-m', '-p', '-u', '-i', '-C', '-r', '-w', 'env', '-i', ...words, 'sh', '-c', line];
  }

  /** A line in a root shell of the machine. */
  try(line: string, { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {}): SpawnSyncReturns<string> {
    return spawnSync('nsenter', this.#inside(line, env), { encoding: 'utf8', input, timeout: 240_000 });
  }

  run(line: string, options: { input?: string; env?: Record<string, string> } = {}): string {
    const { status, stdout, stderr } = this.try(line, options);
    if (status !== 0) throw new Error(`\`${line}\` ended with ${status}:\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** The same while we go on; both of its outputs in one. */
  async runLong(line: string, env: Record<string, string> = {}): Promise<{ code: number | null; text: string }> {
    const child = spawn('nsenter', this.#inside(line, env), { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, text };
  }

  /** Every file that is there, with what would tell that it was touched. Without what any running system writes. */
  files({ isOnlyNames = false } = {}): Map<string, string> {
    const found = new Map<string, string>();
    const walk = (path: string) => {
      for (const name of readdirSync(join(this.root, path))) {
        const below = `${path}/${name}`;
        if (VOLATILE.test(below)) continue;
        const stat = lstatSync(join(this.root, below));
        found.set(
          below,
          isOnlyNames || stat.isDirectory() ? `${stat.mode}` : `${stat.mode} ${stat.uid} ${stat.size} ${stat.mtimeMs}`,
        );
        if (stat.isDirectory()) walk(below);
      }
    };
    walk('');
    return found;
  }
}

const VOLATILE =
  /^\/(?:proc|sys|dev|run|tmp|root|var\/(?:tmp|log|cache|lib\/systemd|lib\/private)|etc\/(?:machine-id|\.pwd\.lock|(?:passwd|group|shadow|gshadow|subuid|subgid)-?|resolv\.conf))(?:\/|$)/;

/** 0: it has not come so far. What comes before it (mount and its like) are children, too. */
const systemdBelow = (pid: number): number => {
  try {
    const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return readFileSync(`/proc/${child}/comm`, 'utf8').trim() === 'systemd' ? Number(child) : 0;
  } catch {
    return 0;
  }
};

const killIfThere = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has gone already.
  }
};
