import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentDoor } from './agent-door.ts';
import { Fleet } from './fleet.ts';

const GAMER = 'windows-rtx';
const SERVER = 'linux-3070';
const RULES = `groups: { small: [${SERVER}], big: [${GAMER}] }
aliases:
  gaming-pc: { group: big, fallback: [small] }
  private: { group: small, home: only }
`;

describe('routes of a household with a gaming PC and a small server', () => {
  let fleet: Fleet;
  let gamer: AgentDoor;
  let configDir: string;

  beforeAll(async () => {
    const node = (name: string, vramGb: number, models: string) => ({
      ...{ name, vramGb, models },
      tuning: { prefillMs: 1, coldLoadMsPerGb: 20 },
      agentEnv: { LAI_LOCAL_PORT: '0' },
    });
    configDir = mkdtempSync(join(tmpdir(), 'lai-config-'));
    writeFileSync(join(configDir, 'routing.yaml'), RULES);
    fleet = await Fleet.start({
      env: { LAI_CONFIG_DIR: configDir },
      nodes: [
        node(SERVER, 8, 'shared:1b=0.3GB,slots=4,ctx=131072,caps=chat+tools'),
        node(GAMER, 24, 'shared:1b=0.3GB,slots=4,ctx=131072,caps=chat+tools; large:3b=0.6GB,slots=4,ctx=131072,caps=chat+vision'),
      ],
    });
    gamer = new AgentDoor(fleet, GAMER);
  });
  afterAll(async () => {
    await fleet?.stop();
    rmSync(configDir, { recursive: true, force: true });
  });

  const ask = async (
    model: string | undefined,
    {
      tokens = 10,
      content = '',
      headers = {},
      extra = {},
    }: { tokens?: number; content?: string; headers?: Record<string, string>; extra?: object } = {},
  ) => {
    // Four characters are a token; the requested output counts, too.
    const text = content.padEnd((tokens - 4) * 4, '.');
    const body = {
      ...(model === undefined ? {} : { model }),
      max_tokens: 4,
      messages: [{ role: 'user', content: text }],
      ...extra,
    };
    const response = await fetch(`${fleet.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json', 'x-lai-timeout': '20', ...headers },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as { error?: { code: string; message: string } };
    return {
      status: response.status,
      node: response.headers.get('x-lai-node'),
      route: response.headers.get('x-lai-route'),
      fallback: response.headers.get('x-lai-fallback'),
      requestId: response.headers.get('x-request-id') ?? '',
      error: answer.error,
    };
  };
  const gaming = async (mode: 'on' | 'off') => {
    await gamer.gaming(mode);
    await fleet.until(`gaming is ${mode}`, ({ nodes }) =>
      nodes.some(({ snapshot }) => snapshot?.name === GAMER && snapshot.gaming?.isActive === (mode === 'on')),
    );
  };

  describe('while nobody plays', () => {
    it.each<[string, Parameters<typeof ask>, string]>([
      ['auto with 500 tokens', ['auto', { tokens: 500 }], SERVER],
      ['no model', [undefined, {}], SERVER],
      ['auto with 1,999 tokens', ['auto', { tokens: 1_999 }], SERVER],
      ['auto with 2,000 tokens', ['auto', { tokens: 2_000 }], GAMER],
      ['auto with 16,000 tokens', ['auto', { tokens: 16_000 }], GAMER],
      ['auto with 16,001 tokens, without a group `long`', ['auto', { tokens: 16_001 }], GAMER],
      ['auto with the tag #force_big', ['auto', { content: 'think #force_big ' }], GAMER],
      ['auto with X-Force-Big', ['auto', { headers: { 'x-force-big': 'true' } }], GAMER],
      ['auto that is complex', ['auto', { headers: { 'x-lai-complexity': 'complex' } }], GAMER],
      ['small', ['small', {}], SERVER],
      ['fast', ['fast', {}], SERVER],
      ['big', ['big', {}], GAMER],
      ['medium', ['medium', {}], GAMER],
      ['gaming-pc', ['gaming-pc', {}], GAMER],
      ['a node’s name', [SERVER, {}], SERVER],
      ['a model at a node', [`shared:1b@${GAMER}`, {}], GAMER],
      ['a model that only one node has', ['large:3b', {}], GAMER],
      ['a list of models, of which the first is unknown', ['nonsense', { extra: { models: ['small'] } }], SERVER],
    ])('answers %s where it should', async (_name, question, node) => {
      const answer = await ask(...question);
      expect(answer).toMatchObject(_name.startsWith('a list') ? { status: 404 } : { status: 200, node });
    });

    it('takes an image only where a model sees it', async () => {
      const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };
      const extra = { messages: [{ role: 'user', content: [{ type: 'text', text: 'what is it?' }, image] }] };
      const answer = await ask('auto', { extra });
      expect(answer).toMatchObject({ status: 200, node: GAMER, fallback: 'small (capability_missing)' });
      expect((await ask('small', { extra })).error).toMatchObject({ code: 'capability_missing' });
    });
  });

  it('says where a request would go, without running it', async () => {
    const preview = async (question: object) => {
      const response = await fetch(`${fleet.url}/api/v1/routes/preview`, {
        method: 'POST',
        headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json' },
        body: JSON.stringify(question),
      });
      return (await response.json()) as { because: string; steps: { name: string; now: string; isLeft: boolean }[] };
    };
    const seen = async () => (await fleet.node(GAMER).engineState()).requests.seen;
    const before = await seen();
    const now = await preview({ model: 'gaming-pc' });
    expect(now).toMatchObject({
      because: 'alias gaming-pc',
      steps: [
        { name: 'big', isLeft: false },
        { name: 'small', isLeft: false },
      ],
    });
    const gamingThen = await preview({ model: 'gaming-pc', gamingOn: [GAMER] });
    expect(gamingThen.steps[0]).toEqual({ name: 'big', kind: 'fleet', now: 'gaming (as supposed)', isLeft: true });
    expect((await preview({ tokens: 5_000, gamingOn: [GAMER] })).steps[0]).toMatchObject({ name: 'small', isLeft: false });
    expect((await preview({ model: 'nonsense' })).steps).toEqual([]);
    expect(await seen()).toBe(before);
    expect(await fleet.lai('route', 'gaming-pc', '--gaming-on', GAMER)).toContain('1. big: left, gaming (as supposed)');
    expect(await fleet.lai('providers')).toContain('There are no providers.');
  });

  describe('while its owner plays', () => {
    beforeAll(() => gaming('on'));
    afterAll(() => gaming('off'));

    it.each<[string, Parameters<typeof ask>, string]>([
      ['auto with 5,000 tokens', ['auto', { tokens: 5_000 }], SERVER],
      ['auto, forced', ['auto', { headers: { 'x-force-big': 'true' } }], GAMER],
      ['big', ['big', {}], GAMER],
      ['the gaming PC’s own name', [GAMER, {}], GAMER],
      ['gaming-pc', ['gaming-pc', {}], SERVER],
      ['gaming-pc, forced', ['gaming-pc', { headers: { 'x-force-big': 'true' } }], GAMER],
      ['small', ['small', {}], SERVER],
    ])('answers %s where it should', async (_name, question, node) => {
      expect(await ask(...question)).toMatchObject({ status: 200, node });
    });

    it('says in headers and in the explanation which way a request went, and why not another', async () => {
      const { route, fallback, requestId } = await ask('gaming-pc');
      expect({ route, fallback }).toEqual({ route: `gaming-pc > small > ${SERVER}`, fallback: 'big (gaming)' });
      const response = await fetch(`${fleet.url}/api/v1/requests/${requestId}/explanation`, {
        headers: { authorization: `Bearer ${fleet.key}` },
      });
      expect(await response.json()).toMatchObject({
        way: { asked: 'gaming-pc', because: 'alias gaming-pc', step: 'small', left: [{ step: 'big', reason: 'gaming' }] },
      });
    });

    it('leaves a machine whose owner refuses forced requests, and answers from the next step', async () => {
      writeFileSync(join(gamer.dataDir, 'policy.json'), JSON.stringify({ gaming: { forcedRequests: 'refuse' } }));
      await gaming('on');
      await fleet.until('the fleet knows', ({ nodes }) => nodes.some(({ snapshot }) => snapshot?.gaming?.allowsForced === false));
      expect(await ask('big')).toMatchObject({ status: 200, node: SERVER, fallback: 'big (gaming)' });
      writeFileSync(join(gamer.dataDir, 'policy.json'), JSON.stringify({}));
    });

    it('tells who asks for a model that only the held machine has why it is not served', async () => {
      const { status, error } = await ask('large:3b', { headers: { 'x-lai-timeout': '1' } });
      expect({ status, message: error?.message }).toMatchObject({ status: 503, message: expect.stringContaining('gaming') });
    });
  });

  it('takes changed rules without a restart, and keeps the last good ones while the file is broken', async () => {
    const write = (rules: string) => writeFileSync(join(configDir, 'routing.yaml'), rules);
    write('groups: { small: nonsense }');
    await fleet.coordinator.until(
      /configuration refused.*routing\.yaml:1:18: groups\.small:|routing\.yaml:1:18: groups\.small:.*refused/,
    );
    expect(await ask('gaming-pc')).toMatchObject({ status: 200, node: GAMER });
    write(RULES.replace('group: big', 'group: small'));
    await expect.poll(async () => (await ask('gaming-pc')).node, { timeout: 15_000 }).toBe(SERVER);
  });
});
