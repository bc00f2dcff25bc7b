import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { env } from 'node:process';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WebSocket, WebSocketServer } from 'ws';
import { generateIdentityKeys, type IdentityKeys, randomBase64, signWith } from '../../shared/src/ed25519.ts';
import { handshakeTranscript } from '../../shared/src/protocol/codec.ts';
import { CoordinatorMessage } from '../../shared/src/protocol/coordinator-message.ts';
import { PROTOCOL } from '../../shared/src/protocol/version.ts';
import { onPath } from '../engines/cache.ts';
import { Program } from './program.ts';
import { CANARY, messagesOf, spoilt } from './schema-fuzz.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const AGENT = join(ROOT, 'agent', 'dist', 'lai-agent.js');
const ws = createRequire(join(ROOT, 'agent', 'package.json'))('ws') as { WebSocketServer: typeof WebSocketServer };

/** 1 in `npm test`; LAI_FUZZ_SCALE=10 is the full count. */
const SCALE = Number(env['LAI_FUZZ_SCALE'] ?? 1);
const SEED = Number(env['LAI_FUZZ_SEED'] ?? 20_261_121);
const COUNT = 6_000 * SCALE;
/** Nothing else may be started by an agent, whoever asks. Sensors, engines that it supervises, and what finds them. */
const PROGRAMS = [
  'node',
  'strace',
  'nvidia-smi',
  'rocm-smi',
  'amd-smi',
  'ps',
  'ollama',
  'llama-server',
  'vllm',
  'systemd-inhibit',
  'sh',
];

describe('an agent whose coordinator has been taken over', () => {
  let directory: string;
  let dataDir: string;
  let server: Server;
  let sockets: WebSocketServer;
  let coordinator: IdentityKeys;
  let node: IdentityKeys;
  let agent: Program;
  let generation = 0;
  let greeted = 0;
  let current: WebSocket | null = null;
  const heard = new Map<string, number>();
  let models: string[] = [];
  const trace = (): string => (existsSync(join(directory, 'trace')) ? readFileSync(join(directory, 'trace'), 'latin1') : '');
  const canTrace = onPath('strace') !== undefined;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lai-rogue-'));
    dataDir = join(directory, 'agent');
    mkdirSync(dataDir);
    [coordinator, node] = await Promise.all([generateIdentityKeys(), generateIdentityKeys()]);
    server = createServer((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end());
    sockets = new ws.WebSocketServer({ server });
    sockets.on('connection', (socket: WebSocket) => greet(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const credential = { url, nodeId: 'node_1', name: 'attic', ...node, coordinatorKey: coordinator.publicKey, generation: 0 };
    writeFileSync(join(dataDir, 'node.json'), JSON.stringify(credential), { mode: 0o600 });
    const args = [
      'run',
      '--data-dir',
      dataDir,
      '--name',
      'attic',
      '--local-port',
      '0',
      '--runtime',
      'mock',
      '--mock-profile',
      'linux-3070',
    ];
    const watch = [
      '-f',
      '--seccomp-bpf',
      '-s',
      '400',
      '-e',
      'trace=execve,openat,open,connect,unlink,unlinkat,rename',
      '-o',
      join(directory, 'trace'),
    ];
    agent = canTrace
      ? new Program('agent', [...watch, process.execPath, AGENT, ...args], { LAI_LOG_LEVEL: 'warn' }, 'strace')
      : new Program('agent', [AGENT, ...args], { LAI_LOG_LEVEL: 'warn' });
    await told(() => models.length > 0);
  });
  afterAll(async () => {
    if (agent) process.kill(agentPid(), 'SIGTERM');
    await agent?.exited;
    for (const socket of sockets?.clients ?? []) socket.terminate();
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
    rmSync(directory, { recursive: true, force: true });
  });

  /** An honest handshake: it has the true key, as whoever took the true coordinator over has. */
  const greet = (socket: WebSocket): void => {
    let nonces = { agent: '', coordinator: '' };
    socket.on('message', async (data: Buffer, isBinary: boolean) => {
      if (isBinary) return;
      const message = JSON.parse(data.toString()) as { type: string; nonce?: string; snapshot?: { models: { id: string }[] } };
      if (message.snapshot && models.length === 0) models = message.snapshot.models.map(({ id }) => id);
      heard.set(message.type, (heard.get(message.type) ?? 0) + 1);
      const say = (answer: unknown) => socket.send(JSON.stringify(answer));
      if (message.type === 'node.hello') {
        nonces = { agent: message.nonce ?? '', coordinator: randomBase64(32) };
        const transcript = handshakeTranscript({
          ...{ role: 'coordinator', nodeId: 'node_1', coordinatorKey: coordinator.publicKey, protocol: PROTOCOL },
          ...{ agentNonce: nonces.agent, coordinatorNonce: nonces.coordinator },
        });
        say({ type: 'node.challenge', nonce: nonces.coordinator, signature: await signWith(coordinator.privateKey, transcript) });
      }
      if (message.type === 'node.proof') {
        generation += 1;
        greeted += 1;
        const desired = { generation: 0, isDraining: false, pinnedModels: [] };
        say({ type: 'node.welcome', protocol: PROTOCOL, epoch: Date.now(), generation, statusIntervalMs: 5_000, desired });
        current = socket;
      }
    });
    socket.on('close', () => {
      if (current === socket) current = null;
    });
    socket.on('error', () => {});
  };

  const told = async (isSo: () => boolean): Promise<void> => {
    const deadline = performance.now() + 30_000;
    while (!isSo()) {
      if (performance.now() > deadline)
        throw new Error(`the agent does not say what is waited for:\n${agent.text.slice(-3_000)}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };

  /** What was sent is not only on its way: the agent has read it, or is gone. */
  const heardOut = (socket: WebSocket): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        socket.off('pong', done).off('close', done);
        resolve();
      };
      const timer = setTimeout(done, 10_000);
      socket.on('pong', done).on('close', done).ping();
    });

  /** Of the agent itself, not of what watches it. */
  const agentPid = (): number => Number(/^\d+/m.exec(trace())?.[0] ?? agent.pid);
  const rssMiB = (): number => {
    const pid = agentPid();
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  };

  it(
    `lives through ${COUNT} messages, starts nothing and opens nothing that they name`,
    async () => {
      const valid = messagesOf(CoordinatorMessage, models);
      const drawn = fc.sample(
        fc.oneof(
          { weight: 3, arbitrary: valid },
          { weight: 2, arbitrary: valid.chain(spoilt) },
          { weight: 1, arbitrary: fc.jsonValue() },
        ),
        { numRuns: COUNT, seed: SEED },
      );
      const before = rssMiB();
      let sent = 0;
      for (const message of drawn) {
        // Sending the node away for good is a coordinator's right; here it would only end the test.
        // So is asking it to come back later, as long as it is not for ever.
        if (typeof message === 'object' && message !== null && 'spreadMs' in message && Number(message.spreadMs) > 50)
          message.spreadMs = 50;
        const isFarewell = typeof message === 'object' && message !== null && 'isFinal' in message && message.isFinal === true;
        if (isFarewell) continue;
        // Coming back takes its time, so not every one of these is sent.
        const endsConnection =
          typeof message === 'object' && message !== null && /reject|goaway/.test(String(Reflect.get(message, 'type')));
        if (endsConnection && sent % 10 !== 0) continue;
        const deadline = performance.now() + 20_000;
        while (!current || current.readyState !== current.OPEN) {
          if (performance.now() > deadline)
            throw new Error(`the agent has not come back after ${sent} messages:\n${agent.text.slice(-3_000)}`);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        current.send(JSON.stringify(message) ?? 'null');
        if (sent % 7 === 0)
          current.send(fc.sample(fc.uint8Array({ maxLength: 64 }), { numRuns: 1, seed: SEED + sent })[0] ?? new Uint8Array());
        sent += 1;
        if (sent % 20 === 0) await heardOut(current);
      }
      // Still there, still itself: it connects anew and tells its state.
      const reports = heard.get('node.status') ?? 0;
      current?.terminate();
      await told(() => (heard.get('node.status') ?? 0) > reports);
      const grown = rssMiB() - before;
      console.log(
        `seed ${SEED}: ${sent} messages over ${greeted} connections; RSS +${grown.toFixed(0)} MiB; heard ${JSON.stringify([...heard])}`,
      );
      expect(agent.text).not.toMatch(/UnhandledPromise|uncaught|Error: .*\n\s+at /i);
      expect(grown).toBeLessThan(200);
      expect(existsSync(`/tmp/${CANARY}`)).toBe(false);
    },
    120_000 * Math.max(1, SCALE),
  );

  it.skipIf(!canTrace)('as the system saw it', () => {
    const calls = trace().split('\n');
    // How it ended stands on a line of its own when another thread was busy in between; then it counts as started.
    const started = calls.flatMap((call) => /execve\("([^"]+)".*(?:= 0|<unfinished \.\.\.>)$/.exec(call)?.[1] ?? []);
    expect(started.length).toBeGreaterThan(1);
    expect([...new Set(started.map((program) => basename(program)))].filter((program) => !PROGRAMS.includes(program))).toEqual(
      [],
    );
    expect(calls.filter((call) => call.includes(CANARY) && !/node\.json/.test(call)).slice(0, 5)).toEqual([]);
    // Only this machine: the coordinator and the engine.
    const peers = calls.flatMap((call) => /connect\(.*sin_addr=inet_addr\("([^"]+)"\)/.exec(call)?.[1] ?? []);
    expect([...new Set(peers)].filter((address) => !address.startsWith('127.'))).toEqual([]);
  });
});
