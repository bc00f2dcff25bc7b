import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';

/** Every command of both programs, with everything that people get wrong: a sentence, the right exit code, and nothing internal. */

const ROOT = join(import.meta.dirname, '..', '..');
const LAI = join(ROOT, 'coordinator', 'dist', 'lai.js');
const AGENT = join(ROOT, 'agent', 'dist', 'lai-agent.js');
const AT_ONCE = 4;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (program: string, args: readonly string[], env: Record<string, string>, input = ''): Promise<Ended> =>
  new Promise((resolve) => {
    const { LAI_DATA_DIR: _dir, ...inherited } = process.env;
    const child = spawn(process.execPath, [program, ...args], { env: { ...inherited, NO_COLOR: '1', ...env } });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });

/** Commands that ask a coordinator, each with arguments that name nothing that exists. */
const ASKING: readonly (readonly string[])[] = [
  ['status'],
  ['status', '--wide'],
  ['chat', 'nobody'],
  ['explain', 'req_nobody'],
  ['keys', 'create', 'somebody'],
  ['keys', 'list'],
  ['keys', 'rotate', 'key_nobody'],
  ['keys', 'change', 'key_nobody', '--name', 'other'],
  ['keys', 'revoke', 'key_nobody'],
  ['users', 'create', 'somebody'],
  ['users', 'list'],
  ['users', 'password', 'nobody'],
  ['users', 'disable', 'nobody'],
  ['users', 'enable', 'nobody'],
  ['users', 'role', 'nobody', 'admin'],
  ['users', 'remove', 'nobody'],
  ['tokens', 'create'],
  ['tokens', 'list'],
  ['tokens', 'revoke', 'tok_nobody'],
  ['join-command', '--os', 'linux'],
  ['nodes', 'list'],
  ['nodes', 'approve', 'nobody'],
  ['nodes', 'revoke', 'nobody'],
  ['nodes', 'remove', 'nobody'],
  ['nodes', 'rename', 'nobody', 'other'],
  ['nodes', 'group', 'nobody', 'other'],
  ['nodes', 'drain', 'nobody'],
  ['gaming', 'nobody', 'on'],
  ['models', 'list'],
  ['models', 'load', 'nobody'],
  ['models', 'unload', 'nobody'],
  ['models', 'remove', 'nobody'],
  ['models', 'pin', 'nobody'],
  ['models', 'unpin', 'nobody'],
  ['pull', 'nobody', '--node', 'nobody'],
  ['route', 'nobody'],
  ['providers'],
  ['updates', 'status'],
  ['updates', 'start', '--first', 'nobody'],
  ['updates', 'stop'],
  ['audit'],
  ['audit', 'verify'],
];
const nameOf = (words: readonly string[]) => words.filter((word) => !/nobody|somebody|other|admin|on$/.test(word)).join(' ');
/** Where a coordinator is looked for is decided in one place (place.test.ts); one command of each kind shows that all ask it. */
const FEW = ASKING.filter((words) =>
  ['status', 'keys list', 'gaming', 'models pin', 'audit', 'updates stop'].includes(nameOf(words)),
);
/** What they end with when all is well although what they name is not there. */
const FINDS_NOTHING_WRONG = new Set(
  ['status', 'status --wide', 'keys create', 'keys list', 'users create', 'users list', 'tokens create', 'tokens list'].concat([
    ...['nodes list', 'models list', 'route', 'providers', 'updates status', 'audit', 'audit verify'],
  ]),
);
/** Commands that start something or work without a coordinator; looked at one by one below. */
const OTHERS = ['up', 'demo', 'serve', 'backup', 'restore', 'completion', 'doctor', 'bugreport', 'logs', 'launch', 'config'];

const isSentence = (text: string, program: string) => {
  expect(text).toMatch(new RegExp(`^(${program}: |error: )\\S`, 'm'));
  expect(text).not.toMatch(/^\s+at /m);
  expect(text).not.toMatch(/fetch failed|Connection is closed|ZodError|invalid_type|received NaN|\[object|undefined|^\s*[[{]/m);
};

const inBatches = async <T>(items: readonly T[], use: (item: T) => Promise<void>): Promise<void> => {
  const waiting = [...items];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await use(item);
    }),
  );
};

describe('every command', { timeout: 180_000 }, () => {
  let directory: string;
  let fleet: Fleet;
  let page: http.Server;
  let pageUrl: string;
  let home: Record<string, string>;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lai-faults-'));
    home = { HOME: directory, XDG_STATE_HOME: join(directory, 'state'), XDG_DATA_HOME: join(directory, 'share') };
    fleet = await Fleet.start({ nodes: [] });
    page = http.createServer((_, response) =>
      response.writeHead(404, { 'content-type': 'text/html' }).end('<html><head><title>Welcome to nginx</title></head></html>'),
    );
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
    pageUrl = `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
  }, 60_000);
  afterAll(async () => {
    page?.close();
    await fleet?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const eachAsking = (
    env: Record<string, string>,
    check: (words: readonly string[], ended: Ended) => void,
    commands: readonly (readonly string[])[] = ASKING,
  ) =>
    inBatches(commands, async (words) => {
      const ended = await run(LAI, words, { ...home, ...env }, 'a long enough password\n');
      try {
        check(words, ended);
      } catch (error) {
        throw new Error(`lai ${words.join(' ')} ended with ${ended.code}:\n${ended.stdout}\n${ended.stderr}`, { cause: error });
      }
    });
  const fails = (code: number, sentence: RegExp) => (_: readonly string[], ended: Ended) => {
    expect(ended.code).toBe(code);
    isSentence(ended.stderr, 'lai');
    expect(ended.stderr).toMatch(sentence);
  };

  it('is in this table', async () => {
    const commandsIn = (help: string) =>
      [...help.matchAll(/^ {2}([a-z-]+)(?: \[options\])?(?: [<[]|\s{2,}|$)/gm)].map(([, name = '']) => name);
    const listed = async (...words: string[]) => {
      const { stdout } = await run(LAI, [...words, '--help'], home);
      const commands = stdout.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '';
      return commandsIn(commands).filter((name) => name !== 'help');
    };
    const leaves: string[] = [];
    for (const name of await listed()) {
      const inner = await listed(name);
      leaves.push(...(inner.length === 0 || name === 'audit' ? [name] : []), ...inner.map((word) => `${name} ${word}`));
    }
    const known = new Set([...OTHERS, ...ASKING.map((words) => nameOf(words).split(' --')[0])]);
    expect(leaves.length).toBeGreaterThan(35);
    expect(leaves.filter((name) => !known.has(name) && !known.has(name.split(' ')[0] ?? ''))).toEqual([]);
  });

  it('says that no coordinator answers, and what to do', async () => {
    await eachAsking(
      { LAI_URL: 'http://127.0.0.1:65000', LAI_API_KEY: 'lai_x' },
      fails(1, /No coordinator answers at .*(lai up|LAI_URL)/),
    );
  });

  it('says that what answers is no coordinator', async () => {
    await eachAsking({ LAI_URL: pageUrl, LAI_API_KEY: 'lai_x' }, fails(1, /is no Lai coordinator.*Welcome to nginx.*LAI_URL/));
  });

  it('says that the key is wrong', async () => {
    await eachAsking({ LAI_URL: fleet.url, LAI_API_KEY: 'lai_wrong' }, fails(1, /LAI_API_KEY/));
  });

  it('says that a directory was mistyped instead of showing an empty fleet', async () => {
    await eachAsking({ LAI_DATA_DIR: join(directory, 'typo') }, fails(2, /directory .*typo does not exist/), FEW);
  });

  it('says that no coordinator has run here yet', async () => {
    await eachAsking({}, fails(1, /No coordinator has run here yet.*LAI_URL/), FEW);
  });

  it('says what does not exist, and does what can be done', async () => {
    await eachAsking({ LAI_URL: fleet.url, LAI_API_KEY: fleet.key }, (words, ended) => {
      if (FINDS_NOTHING_WRONG.has(nameOf(words))) return expect(ended.code).toBe(0);
      expect(ended.code).toBe(1);
      isSentence(ended.stderr, 'lai');
    });
  });

  it.each([
    ['https to a coordinator without TLS', (url: string) => url.replace('http:', 'https:'), /does not speak TLS.*Use http:/, 1],
    ['an address that is none', () => 'nowhere', /LAI_URL is "nowhere": use the address of a coordinator/, 2],
    ['a name that does not exist', () => 'http://lai.invalid', /cannot be resolved/, 1],
  ] as const)('says what is wrong with %s', async (_, change, sentence, code) => {
    const ended = await run(LAI, ['status'], { ...home, LAI_URL: change(fleet.url), LAI_API_KEY: 'lai_x' });
    isSentence(ended.stderr, 'lai');
    expect(ended.stderr).toMatch(sentence);
    expect(ended.code).toBe(code);
  });

  it.each<[string[], RegExp]>([
    [['nonsense'], /unknown command/],
    [['status', '--nonsense'], /unknown option/],
    [['explain'], /missing required argument/],
    [['audit', '--limit', 'many'], /--limit.*whole number from 1 to 1000/],
    [['tokens', 'create', '--uses', '0'], /--uses.*whole number from 1 to 50/],
    [['tokens', 'create', '--ttl', 'ages'], /90s, 30m, 12h or 7d/],
    [['updates', 'start', '--parallel', '-3'], /--parallel/],
    [['join-command', '--os', 'plan9'], /There is no system "plan9"/],
    [['gaming', 'nobody', 'perhaps'], /There is no gaming mode "perhaps"/],
    [['users', 'role', 'nobody', 'king'], /There is no role king/],
    [['completion', 'tcsh'], /bash, zsh, fish/],
    [['serve', '--port', 'abc'], /--port is "abc": use a whole number/],
    [['up', '--port', '70000'], /--port is "70000": use at most 65535/],
  ])('ends with 2 for wrong words: %j', async (words, sentence) => {
    const ended = await run(LAI, words, { ...home, LAI_URL: fleet.url, LAI_API_KEY: fleet.key });
    isSentence(ended.stderr, 'lai');
    expect(ended.stderr).toMatch(sentence);
    expect(ended.code).toBe(2);
  });

  it.each<[string, string[], (port: string) => Record<string, string>, RegExp]>([
    ['a port that is taken', ['serve'], (port) => ({ LAI_PORT: port }), /Port \d+ on 127\.0\.0\.1 is taken/],
    ['a port that is taken', ['up', '--once'], (port) => ({ LAI_PORT: port }), /Port \d+ on 127\.0\.0\.1 is taken/],
    [
      'a Redis that is not there',
      ['serve'],
      () => ({ LAI_REDIS_URL: 'redis://127.0.0.1:65000' }),
      /Redis cannot be used at .*LAI_REDIS_URL/,
    ],
    ['a program for Redis that is none', ['serve'], () => ({ LAI_REDIS_SERVER: '/nowhere' }), /private Redis cannot be started/],
  ])('says that %s keeps a coordinator from starting: %j', async (_, words, env, sentence) => {
    const dataDir = mkdtempSync(join(directory, 'start-'));
    const ended = await run(LAI, words, {
      ...home,
      LAI_PORT: '0',
      LAI_LOG_LEVEL: 'silent',
      LAI_DATA_DIR: dataDir,
      ...env(new URL(fleet.url).port),
    });
    isSentence(ended.stderr, 'lai');
    expect(ended.stderr).toMatch(sentence);
    expect(ended.code).toBe(1);
  });

  it('says that a database that is none keeps a coordinator from starting', async () => {
    const ended = await run(LAI, ['serve'], { ...home, LAI_PORT: '0', LAI_DATABASE_URL: 'mysql://x/y' });
    isSentence(ended.stderr, 'lai');
    expect(ended.stderr).toMatch(/LAI_DATABASE_URL is not usable: use postgres:.*or the path of a SQLite file/);
    expect(ended.code).toBe(2);
  });

  it('stays silent when the reader of its output has gone', async () => {
    const child = spawn(
      'sh',
      ['-c', `"$0" "$@" | head -c 1 >/dev/null`, process.execPath, LAI, 'audit', '--limit', '1000', '--json'],
      {
        env: { ...process.env, ...home, LAI_URL: fleet.url, LAI_API_KEY: fleet.key },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await new Promise((resolve) => child.once('close', resolve));
    expect(stderr).toBe('');
  });

  it('tells when a node that is away will hear of a wish', async () => {
    const node = await fleet.addNode({ name: 'den', models: 'm=0.1GB,slots=1,tps=200,caps=chat' });
    const env = { ...home, LAI_URL: fleet.url, LAI_API_KEY: fleet.key };
    await fleet.until('den is there', ({ nodes }) => nodes.some(({ liveness }) => liveness === 'alive'));
    expect((await run(LAI, ['nodes', 'drain', 'den'], env)).stderr).toContain(
      'den takes no new work, and what runs there finishes.',
    );
    node.agent.kill('SIGKILL');
    await fleet.until('den is away', ({ nodes }) => nodes.every(({ liveness }) => liveness === 'offline'));
    expect((await run(LAI, ['nodes', 'drain', 'den', '--off'], env)).stderr).toContain(
      'It is away; it will be told when it is back.',
    );
    const alone = await run(LAI, ['gaming', 'den', 'on'], { ...home, ...fleet.env, LAI_PORT: '65000' });
    expect(alone.stderr).toMatch(/No coordinator answers at .*works on its database/);
    expect(alone.stderr).toContain('as soon as a coordinator runs and den is connected');
    expect(alone.code).toBe(0);
  });
});

describe('every command of the agent', { timeout: 120_000 }, () => {
  let dataDir: string;
  beforeAll(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'lai-agent-faults-'));
  });
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
  const env = () => ({ LAI_AGENT_DATA_DIR: dataDir, HOME: dataDir });

  it.each<[string[], Record<string, string>, number, RegExp]>([
    [['nonsense'], {}, 2, /unknown command/],
    [['status', '--nonsense'], {}, 2, /unknown option/],
    [['gaming', 'maybe'], {}, 2, /on, off, auto or status/],
    [['gaming', 'on', '--for', 'ages'], {}, 2, /90s, 30m, 2h or 1d/],
    [['logs', '../../etc/passwd'], {}, 2, /logs \[engine\]/],
    [['run', '--max-concurrent', 'many'], {}, 2, /--max-concurrent is "many": use a whole number/],
    [['run', '--runtime', 'tensorrt'], {}, 2, /--runtime is "tensorrt": use one of/],
    [['join'], {}, 2, /--url/],
    ...['status', 'models', 'pull m', 'gaming on', 'drain', 'stop-all', 'update'].map(
      (words): [string[], Record<string, string>, number, RegExp] => [words.split(' '), {}, 1, /No agent is running/],
    ),
    [['run'], {}, 1, /has not joined/],
    [['join', '--url', 'http://127.0.0.1:65000'], {}, 1, /registration token/],
    [['join', '--url', 'http://127.0.0.1:65000'], { LAI_TOKEN: 'nonsense' }, 1, /registration token/],
    [['logs'], {}, 1, /nothing in/],
    [['rotate-key'], {}, 1, /has not joined/],
  ])('lai-agent %j with %j ends with %i', async (words, more, code, sentence) => {
    const ended = await run(AGENT, words, { ...env(), ...more });
    isSentence(ended.stderr, 'lai-agent');
    expect(ended.stderr).toMatch(sentence);
    expect(ended.code).toBe(code);
  });

  it('says why a machine cannot join: nobody there, no coordinator, a token that was used', async () => {
    const fleet = await Fleet.start({ nodes: [] });
    try {
      const token = (await run(LAI, ['tokens', 'create'], fleet.env)).stdout.trim();
      const join_ = (url: string, dir: string) =>
        run(AGENT, ['join', '--url', url], { LAI_AGENT_DATA_DIR: join(dataDir, dir), HOME: dataDir, LAI_TOKEN: token });
      const nobody = await join_('http://127.0.0.1:65000', 'a');
      isSentence(nobody.stderr, 'lai-agent');
      expect(nobody.stderr).toMatch(/could not join. Nothing listens/);
      expect((await join_(fleet.url, 'b')).code).toBe(0);
      const used = await join_(fleet.url, 'c');
      isSentence(used.stderr, 'lai-agent');
      expect(used.stderr).toMatch(/does not let this machine join/);
      expect([nobody.code, used.code]).toEqual([1, 1]);
    } finally {
      await fleet.stop();
    }
  });

  it('leaves nothing running when a start fails', async () => {
    const broken = join(dataDir, 'broken');
    writeFileSync(broken, 'a file where a directory belongs');
    const ended = await run(AGENT, ['run'], { LAI_AGENT_DATA_DIR: broken, HOME: dataDir });
    isSentence(ended.stderr, 'lai-agent');
    expect(ended.code).toBe(2);
  });
});
