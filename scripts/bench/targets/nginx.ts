import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isExecutable, onPath } from '../../engines/cache.ts';
import { run } from '../../engines/command.ts';
import { unpackDebianPackages } from '../../engines/debian.ts';
import { descendants } from '../process-figures.ts';
import { startProgram } from '../program.ts';
import { chatPath, freePort, type Started, type Surroundings, waitForAnswer } from '../target.ts';

/** nginx as a streaming proxy: one process for the work, nothing buffered, connections to the engine kept. */
export const startNginx = async ({ engineUrl, folder, cache }: Surroundings): Promise<Started> => {
  const found = await findNginx(join(cache, 'nginx'));
  if ('absent' in found) return found;
  const version = await run(found.path, ['-v'], { limitMs: 5_000 });
  if (!version.ok) return { absent: `${found.path} does not start: ${version.lastLine}` };
  const home = join(folder, 'nginx');
  mkdirSync(home, { recursive: true });
  const port = await freePort();
  writeFileSync(join(home, 'nginx.conf'), configuration({ home, port, upstream: new URL(engineUrl).host }));
  const program = await startProgram({
    command: [found.path, '-p', home, '-c', join(home, 'nginx.conf'), '-e', join(home, 'error.log')],
    side: 'target',
    logFile: join(folder, 'nginx.log'),
  });
  const endpoint = { url: `http://127.0.0.1:${port}${chatPath}`, headers: {} };
  await waitForAnswer('nginx', endpoint, program);
  const [worker] = descendants(program.pid);
  return {
    name: 'nginx',
    version: version.stderr.replace('nginx version: ', ''),
    ...endpoint,
    pids: { nginx: worker ?? program.pid },
    stop: program.stop,
  };
};

/** The machine's own, or Debian's package unpacked beside it: installing it would start a web server on port 80. */
const findNginx = async (folder: string): Promise<{ path: string } | { absent: string }> => {
  const own = onPath('nginx') ?? ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find(isExecutable);
  if (own !== undefined) return { path: own };
  const path = join(folder, 'usr', 'sbin', 'nginx');
  if (isExecutable(path)) return { path };
  const suite = debianSuite();
  if (suite === null) return { absent: 'nginx is not installed' };
  const problem = await unpackDebianPackages({ suite, packages: ['nginx'], target: folder });
  return problem === undefined && isExecutable(path)
    ? { path }
    : { absent: `nginx is not installed, and unpacking it failed: ${problem}` };
};

const debianSuite = (): string | null => {
  if (!existsSync('/etc/os-release')) return null;
  const text = readFileSync('/etc/os-release', 'utf8');
  return /^ID="?debian"?$/m.test(text) ? (/^VERSION_CODENAME="?(\w+)"?$/m.exec(text)?.[1] ?? null) : null;
};

const configuration = ({ home, port, upstream }: { home: string; port: number; upstream: string }): string => `
daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${home}/body;
  proxy_temp_path ${home}/proxy;
  fastcgi_temp_path ${home}/fastcgi;
  uwsgi_temp_path ${home}/uwsgi;
  scgi_temp_path ${home}/scgi;
  keepalive_requests 1000000;
  upstream engine { server ${upstream}; keepalive 1024; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} backlog=2048;
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }
  }
}
`;
