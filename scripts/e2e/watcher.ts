import { type CommandView, FEED_EVENTS, type FeedEventName, type FleetNode } from '../../shared/src/fleet-api.ts';

/** Somebody who watches the feed and knows of the fleet what it told, each event checked against its schema. */
export class Watcher {
  readonly nodes = new Map<string, FleetNode>();
  readonly commands = new Map<string, CommandView>();
  readonly events: { name: FeedEventName; data: unknown }[] = [];
  readonly ended: Promise<string>;
  readonly #abort = new AbortController();
  readonly #looks = new Set<() => void>();

  private constructor(response: Response) {
    this.ended = this.#read(response).catch((error: unknown) => String(error));
  }

  static async open(url: string, headers: Record<string, string>): Promise<Watcher> {
    const response = await fetch(`${url}/api/v1/events`, { headers });
    if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
    return new Watcher(response);
  }

  get names(): FeedEventName[] {
    return this.events.map(({ name }) => name);
  }

  node(name: string): FleetNode | undefined {
    return [...this.nodes.values()].find(({ entry }) => entry.name === name);
  }

  async until(what: string, isSo: (watcher: Watcher) => boolean, limitMs = 20_000): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (why: string) =>
      reject(new Error(`${why}: ${what}; last ${JSON.stringify(this.events.slice(-3)).slice(0, 3_000)}`));
    const look = () => isSo(this) && resolve();
    const timer = setTimeout(() => fail(`after ${limitMs} ms not yet`), limitMs);
    this.#looks.add(look);
    look();
    void this.ended.then((reason) => fail(`the feed ended (${reason}) before`));
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#looks.delete(look);
    }
  }

  close(): void {
    this.#abort.abort();
  }

  /** Resolves with the reason that the feed gave. */
  async #read(response: Response): Promise<string> {
    let rest = '';
    const body = response.body ?? new ReadableStream<Uint8Array<ArrayBuffer>>();
    for await (const text of body.pipeThrough(new TextDecoderStream(), { signal: this.#abort.signal })) {
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.#take(block);
      for (const look of this.#looks) look();
    }
    const last = this.events.at(-1);
    return last?.name === 'bye' ? FEED_EVENTS.bye.parse(last.data).reason : 'cut';
  }

  #take(block: string): void {
    const [, name = '', json = ''] = /^event: (.+)\ndata: (.+)$/.exec(block) ?? [];
    if (!(name in FEED_EVENTS)) throw new Error(`not an event: ${block.slice(0, 200)}`);
    const event = name as FeedEventName;
    const data = FEED_EVENTS[event].parse(JSON.parse(json));
    this.events.push({ name: event, data });
    if (event === 'fleet') {
      this.nodes.clear();
      const level = FEED_EVENTS.fleet.parse(data);
      for (const node of level.nodes) this.nodes.set(node.entry.id, node);
      for (const command of level.commands) this.commands.set(command.commandId, command);
    }
    if (event === 'node') {
      const node = FEED_EVENTS.node.parse(data);
      this.nodes.set(node.entry.id, node);
    }
    if (event === 'node.gone') this.nodes.delete(FEED_EVENTS['node.gone'].parse(data).nodeId);
    if (event === 'command') {
      const command = FEED_EVENTS.command.parse(data);
      this.commands.set(command.commandId, command);
    }
  }
}
