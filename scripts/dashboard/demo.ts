import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../e2e/fleet.ts';
import { Program } from '../e2e/program.ts';

const LAI = join(import.meta.dirname, '..', '..', 'coordinator', 'dist', 'lai.js');
export const OPERATOR = { name: 'ada', password: 'correct horse battery' };

/** What `npm start -- --demo` starts: a coordinator and three simulated machines, with nobody signed up yet. */
export class Demo {
  readonly url: string;
  readonly key: string;
  readonly setupUrl: string;
  readonly #program: Program;
  readonly #directory: string;

  private constructor(options: { url: string; key: string; setupUrl: string; program: Program; directory: string }) {
    this.url = options.url;
    this.key = options.key;
    this.setupUrl = options.setupUrl;
    this.#program = options.program;
    this.#directory = options.directory;
  }

  static async start(): Promise<Demo> {
    const directory = mkdtempSync(join(tmpdir(), 'lai-demo-'));
    const port = await freePort();
    const env = { LAI_DATA_DIR: join(directory, 'data'), LAI_PORT: String(port), LAI_LOG_LEVEL: 'info', NO_COLOR: '1' };
    const program = new Program('demo', [LAI, 'up', '--demo'], env);
    const setupUrl = /(http:\S+\/setup#[0-9a-f]{32})/.exec(await program.until(/\/setup#/, 90_000))?.[1] ?? '';
    const key = /lai_[0-9a-f]{32}/.exec(program.text)?.[0] ?? '';
    return new Demo({ url: `http://127.0.0.1:${port}`, key, setupUrl, program, directory });
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** As the operator's program would ask. */
  async api(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`);
    return text.startsWith('{') || text.startsWith('[') ? JSON.parse(text.split('\n')[0] ?? '') : text;
  }

  readonly operator = OPERATOR;

  /** The first operator, by the link that the start printed. */
  async signUp(): Promise<void> {
    const token = this.setupUrl.split('#')[1];
    const response = await fetch(`${this.url}/api/v1/setup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token, ...OPERATOR }),
    });
    if (!response.ok) throw new Error(`setup: ${await response.text()}`);
  }

  async nodeId(name: string): Promise<string> {
    const nodes = (await this.api('GET', 'nodes')) as { id: string; name: string }[];
    const id = nodes.find((node) => node.name === name)?.id;
    if (id === undefined) throw new Error(`no node ${name}`);
    return id;
  }

  /** A fleet that does something: models in memory, requests that run, somebody who plays. */
  async liven(): Promise<void> {
    const command = async (node: string, type: string, model: string) =>
      this.api('POST', `nodes/${await this.nodeId(node)}/commands`, { type, model });
    await command('windows-rtx', 'model.load', 'qwen2.5vl:7b');
    await command('linux-3070', 'model.load', 'llama3.2:3b');
    await command('linux-3070', 'model.load', 'nomic-embed-text');
    await this.api('PATCH', `nodes/${await this.nodeId('linux-3070')}`, { pinnedModels: ['llama3.2:3b'] });
    await this.api('PATCH', `nodes/${await this.nodeId('mac-m1')}`, {
      gaming: { mode: 'on', untilMs: Date.now() + 2 * 3_600_000 },
    });
  }

  async stop(): Promise<void> {
    this.#program.kill('SIGTERM');
    await this.#program.exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
