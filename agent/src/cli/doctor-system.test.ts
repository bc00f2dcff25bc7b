import { describe, expect, it } from 'vitest';
import { recording } from '../service/recorded-commands.ts';
import { localNetworkFinding } from './doctor-services.ts';
import { checkSystem, type SystemQuestion } from './doctor-system.ts';
import { fail, well } from './finding.ts';

const examine = async (name: string, question: Partial<SystemQuestion> & Pick<SystemQuestion, 'platform'>) => {
  const commands = recording('doctor', name);
  const findings = await checkSystem({
    ollamaMode: 'auto',
    ollamaProgram: null,
    uid: 501,
    ...question,
    // Exactly these commands, where a real one that fails would tell nothing.
    run: async (program, args) => {
      const ran = await commands.run(program, args).catch((error: unknown) => error as Error);
      if (ran instanceof Error) expect.fail(ran.message);
      return ran;
    },
  });
  expect(commands.left()).toEqual([]);
  return findings.map(({ id, level }) => `${id} ${level}`);
};

describe('a Mac', () => {
  it('that is set up to serve', async () => {
    expect(await examine('mac-well', { platform: 'darwin' })).toEqual(['machine.sleep ok', 'machine.service ok']);
  });

  it('that sleeps, is locked after a restart, does not start the agent, and has an Ollama beside it', async () => {
    expect(await examine('mac-traps', { platform: 'darwin', ollamaMode: 'own' })).toEqual([
      'machine.sleep warn',
      'machine.filevault ok',
      'machine.service warn',
      'engine.ollama-app warn',
    ]);
  });

  it('whose Ollama the agent uses has no second one', async () => {
    expect(await examine('mac-traps', { platform: 'darwin', ollamaMode: 'adopt' })).toContain('engine.ollama-app ok');
  });

  it('that keeps an agent of a session from the local network', () => {
    const reached = well('coordinator.socket', 'x');
    const alone = fail('agent.connection', 'x', 'y');
    expect(localNetworkFinding([reached, alone], true)).toMatchObject({ id: 'agent.local-network', level: 'fail' });
    expect(localNetworkFinding([reached, alone], false)).toBeNull();
    expect(localNetworkFinding([fail('coordinator.socket', 'x', 'y'), alone], true)).toBeNull();
    expect(localNetworkFinding([reached, well('agent.connection', 'x')], true)).toBeNull();
  });
});

describe('a PC', () => {
  it('that is set up to serve', async () => {
    expect(await examine('windows-well', { platform: 'win32', ollamaProgram: 'C:\\Program Files\\Ollama\\ollama.exe' })).toEqual([
      'machine.sleep ok',
      'machine.service-account ok',
      'machine.service ok',
      'machine.desktop ok',
    ]);
  });

  it('that sleeps, whose service may do everything and stays dead, whose desktop is silent', async () => {
    expect(await examine('windows-traps', { platform: 'win32', ollamaMode: 'own' })).toEqual([
      'machine.sleep warn',
      'machine.service-account warn',
      'machine.service warn',
      'machine.desktop warn',
      'engine.ollama-app warn',
    ]);
  });

  it('whose Ollama is one user’s, and closed to the service', async () => {
    const ollamaProgram = 'C:\\Users\\ada\\AppData\\Local\\Programs\\Ollama\\ollama.exe';
    expect(await examine('windows-ollama-of-a-user', { platform: 'win32', ollamaProgram })).toEqual([
      'machine.service-account ok',
      'machine.service ok',
      'machine.desktop warn',
      'engine.ollama-app ok',
      'engine.ollama-place warn',
    ]);
  });

  it('without the service tells nothing about it', async () => {
    expect(await examine('windows-not-installed', { platform: 'win32' })).toEqual([]);
  });
});

it('a system whose tools cannot be run tells nothing', async () => {
  const run = () => Promise.reject(new Error('not there'));
  for (const platform of ['darwin', 'win32', 'freebsd'] as const)
    expect(await checkSystem({ platform, ollamaMode: 'auto', ollamaProgram: null, uid: 501, run })).toEqual([]);
});
