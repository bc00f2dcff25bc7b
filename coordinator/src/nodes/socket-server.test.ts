import type { IncomingMessage } from 'node:http';
import { BlockList } from 'node:net';
import { PassThrough } from 'node:stream';
import { generateIdentityKeys } from '@lai/shared/ed25519';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { acceptAgents } from './socket-server.ts';

const setUp = async () => {
  const agents = acceptAgents({
    // Nobody gets as far as to be looked up.
    ...({ db: null, redis: null, registry: null } as unknown as Pick<
      Parameters<typeof acceptAgents>[0],
      'db' | 'redis' | 'registry'
    >),
    identity: await generateIdentityKeys(),
    proxies: new BlockList(),
    announce: () => {},
    log: pino({ level: 'silent' }),
  });
  onTestFinished(() => agents.close());
  const knock = (url: string) => {
    const line = new PassThrough();
    const request = { url, headers: {}, socket: { remoteAddress: '192.0.2.1' } } as unknown as IncomingMessage;
    agents.upgrade(request, line, Buffer.alloc(0));
    return line;
  };
  return { agents, knock };
};

describe('a stranger at the door of the agents', () => {
  it('that is refused and resets its line does no harm', async () => {
    const { knock } = await setUp();
    const line = knock('/elsewhere');
    expect(String(line.read())).toContain('404');
    expect(() => line.emit('error', new Error('read ECONNRESET'))).not.toThrow();
    expect(line.destroyed).toBe(true);
  });

  it('that comes when the coordinator is stopping is sent away', async () => {
    const { agents, knock } = await setUp();
    agents.close();
    expect(String(knock('/agent/v1').read())).toContain('503');
  });
});
