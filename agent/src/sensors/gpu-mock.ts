import { openEngineRequest, readText } from '../runtimes/engine-http.ts';
import type { GpuProbe, ProbeTiming } from './gpu-probe.ts';
import { GpuReadings } from './gpu-readings.ts';
import { MockGpu, simulatedGpu } from './mock-gpu.ts';
import { startPoll } from './poll.ts';

const ANSWER_WITHIN_MS = 1_000;

/** The simulated GPU of a mock engine. It may start after us: until it answers there is no GPU, and `trouble` says why. */
export function startMockProbe({ url, timing }: { url: string; timing: ProbeTiming }): GpuProbe {
  const readings = new GpuReadings({ staleAfterMs: timing.staleAfterMs });
  const address = new URL('/_mock/gpu', url);
  let trouble: string | null = null;
  const poll = startPoll({
    everyMs: timing.sampleEveryMs,
    deadlineMs: ANSWER_WITHIN_MS,
    onTrouble: (reason) => {
      trouble = reason === null ? null : `The mock engine at ${address.origin} shows no GPU: ${reason}`;
    },
    sample: async (signal) => {
      const response = await openEngineRequest({ url: address, signal });
      const text = await readText(response);
      if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
      readings.put([simulatedGpu(MockGpu.parse(JSON.parse(text)))]);
    },
  });
  return {
    vendor: 'simulated',
    read: () => readings.read(),
    onChange: (listener) => readings.onChange(listener),
    processes: async () => null,
    trouble: () => trouble,
    close: async () => {
      readings.close();
      await poll.close();
    },
  };
}
