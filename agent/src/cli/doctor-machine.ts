import { accessSync, constants, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readinessOf } from '@lai/shared/readiness';
import { policyPath, readPolicy } from '../availability/policy.ts';
import type { AgentConfig } from '../config.ts';
import { readCredential } from '../identity.ts';
import { Ollama } from '../runtimes/ollama.ts';
import { detectGpuProbe, probeEnv } from '../sensors/gpu.ts';
import { readDiskFree } from '../sensors/host.ts';
import { ggufFiles, onPath, versionAt } from '../supervisor/adopt.ts';
import { type Finding, fail, warn, well } from './finding.ts';

const LOW_DISK_BYTES = 10e9;
const NO_DISK_BYTES = 1e9;
const MODELS_LIMIT_MS = 2_500;

export const checkFiles = (dataDir: string): Finding[] => {
  const findings: Finding[] = [];
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const probe = join(dataDir, `.doctor-${process.pid}`);
    writeFileSync(probe, '');
    rmSync(probe);
    findings.push(well('files.data', `The data folder ${dataDir} can be written.`));
  } catch (error) {
    findings.push(
      fail(
        'files.data',
        `The data folder ${dataDir} cannot be written (${(error as NodeJS.ErrnoException).code}).`,
        'Give it to the user that the agent runs as, or choose another with --data-dir.',
      ),
    );
  }
  const policy = readPolicy(policyPath(dataDir));
  if (policy.kind === 'wrong')
    findings.push(fail('files.policy', policy.problem, 'Correct the file; until then the last usable policy is in force.'));
  try {
    const credential = readCredential(dataDir);
    findings.push(
      credential
        ? well('files.identity', `This machine has joined ${credential.url} as ${credential.name}.`)
        : fail(
            'files.identity',
            'This machine has not joined a fleet.',
            'Mint a token on the coordinator (`lai tokens create`), then: LAI_TOKEN=… lai-agent join --url <coordinator>',
          ),
    );
  } catch (error) {
    findings.push(
      fail(
        'files.identity',
        error instanceof Error ? error.message : String(error),
        'Make the file readable for its owner alone, or join anew.',
      ),
    );
  }
  return findings;
};

export const checkEngines = async (config: AgentConfig): Promise<Finding[]> => {
  const findings: Finding[] = [];
  const url = new URL('/api/version', config.ollamaUrl);
  const version = await versionAt(url);
  const isTaken = version === null && (await isListening(url));
  if (version !== null)
    findings.push(well('engine.ollama', `Ollama ${version} answers at ${config.ollamaUrl}.`), await checkModels(config));
  else if (isTaken)
    findings.push(
      fail(
        'engine.port',
        `Something that is not Ollama listens at ${config.ollamaUrl}.`,
        'Stop it, or name the right address with --ollama-url.',
      ),
    );
  const ollama = config.ollamaProgram ?? onPath('ollama');
  if (version === null && ollama)
    findings.push(well('engine.ollama', `Ollama is installed (${ollama}) and is started by the agent.`));
  const llamaServer = onPath('llama-server');
  const models = llamaServer ? ggufFiles(config.modelsDir).length : 0;
  if (llamaServer && models > 0)
    findings.push(well('engine.llama-server', `${llamaServer} with ${models} model files in ${config.modelsDir}.`));
  else if (llamaServer)
    findings.push(
      warn(
        'engine.llama-server',
        `llama-server is there and ${config.modelsDir} holds no .gguf file.`,
        `Put models into ${config.modelsDir}, or name another folder with --models-dir.`,
      ),
    );
  if (version === null && !ollama && models === 0)
    findings.push(
      warn(
        'engine.none',
        'There is no inference engine on this machine: answers would be SIMULATED.',
        'Install Ollama (https://ollama.com) and pull a model, or put llama-server on PATH and .gguf files into the models folder.',
      ),
    );
  return findings;
};

/** Asked of the engine itself, because no agent may run yet. */
const checkModels = async (config: AgentConfig): Promise<Finding> => {
  const ollama = new Ollama({ url: config.ollamaUrl });
  const models = await ollama.listModels(AbortSignal.timeout(MODELS_LIMIT_MS)).catch(() => []);
  const { kind, sentence, next } = readinessOf({
    ...{ name: config.name, holds: [], runtimes: [{ ...ollama.report(), state: 'ready' }] },
    models: models.map(({ id, capabilities }) => ({
      ...{ id, capabilities: [...capabilities], runtime: 'ollama', state: 'cold', slots: 1, inFlight: 0, isPinned: false },
      ...{ contextLength: null, sizeBytes: null, vramBytes: null, expiresAtMs: null, failure: null },
    })),
  });
  return kind === 'ready' || next === null ? well('engine.models', sentence) : warn('engine.models', sentence, next);
};

export const checkGpu = async (
  environment: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): Promise<Finding[]> => {
  const probe = await detectGpuProbe(probeEnv({ environment, mockEngineUrl: null }));
  try {
    const cards = probe.read();
    const trouble = probe.trouble();
    const findings = cards.map(
      (card): Finding =>
        card.vramTotalBytes === null
          ? warn(
              'gpu.memory',
              `${card.name} does not tell its memory.`,
              'Update its driver; without it models are placed by guess.',
            )
          : well(
              'gpu.memory',
              `${card.name}: ${(card.vramTotalBytes / 1e9).toFixed(1)} GB, driver ${card.driverVersion ?? 'not told'}.`,
            ),
    );
    if (trouble) findings.push(fail('gpu.tool', trouble, 'Reinstall or update the GPU driver, then restart the machine.'));
    if (cards.length === 0 && !trouble)
      findings.push(
        warn(
          'gpu.none',
          'No GPU can be read on this machine: models run on the CPU.',
          'If there is one, install its driver with its command line tool (nvidia-smi, amd-smi).',
        ),
      );
    return platform === 'linux' ? [...findings, ...checkDevices('/dev')] : findings;
  } finally {
    await probe.close();
  }
};

/** GPU devices that this user may not open: engines of ours would fall back to the CPU without a word. */
export const checkDevices = (root: string): Finding[] => {
  const names = (folder: string, pattern: RegExp) => {
    try {
      return readdirSync(join(root, folder))
        .filter((name) => pattern.test(name))
        .map((name) => join(root, folder, name));
    } catch {
      return [];
    }
  };
  const devices = [...names('.', /^(?:nvidia\d+|nvidiactl|nvidia-uvm|kfd)$/), ...names('dri', /^renderD\d+$/)];
  const closed = devices.filter((device) => {
    try {
      accessSync(device, constants.R_OK | constants.W_OK);
      return false;
    } catch {
      return true;
    }
  });
  if (closed.length === 0) return devices.length === 0 ? [] : [well('gpu.permissions', 'The GPU devices can be opened.')];
  return [
    fail(
      'gpu.permissions',
      `This user may not open ${closed.join(', ')}.`,
      'sudo usermod -aG render,video <user of the agent>, then log in anew or restart the service.',
    ),
  ];
};

export const checkDisk = async (modelsDir: string): Promise<Finding[]> => {
  const freeBytes = await readDiskFree(modelsDir);
  if (freeBytes === null) return [warn('disk.models', `The disk of ${modelsDir} does not answer.`, 'Check that it is mounted.')];
  const words = `${(freeBytes / 1e9).toFixed(1)} GB are free for models at ${modelsDir}.`;
  const fix = 'Delete models that nobody uses, or name a folder on a larger disk with --models-dir.';
  if (freeBytes < NO_DISK_BYTES) return [fail('disk.models', words, fix)];
  return [freeBytes < LOW_DISK_BYTES ? warn('disk.models', words, fix) : well('disk.models', words)];
};

export const checkNode = (version: string): Finding =>
  Number(version.split('.')[0]) >= 24
    ? well('agent.node', `Node.js ${version}.`)
    : fail('agent.node', `Node.js ${version} is too old.`, 'Install Node.js 24 or newer.');

const isListening = (url: URL): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(1_500), redirect: 'manual' }).then(
    async (response) => {
      await response.body?.cancel();
      return true;
    },
    (error: { cause?: { code?: string } }) => error.cause?.code !== 'ECONNREFUSED',
  );
