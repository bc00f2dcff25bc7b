/** What is known of one warm model when we ask whether its GPU is still there. */
export type ModelOnGpu = {
  model: string;
  /** It ran on the GPU of this machine before, or its runtime was told to put it there. */
  isExpectedOnGpu: boolean;
  /** GPU memory it holds by its runtime's word; null when the runtime does not say. */
  vramBytes: number | null;
  /** Whether enough GPU memory was free when it was loaded; a model that found no room is on the CPU for a good reason. */
  hadRoomAtLoad: boolean | null;
  /** Generation speed of its last answers, and what it used to be here. */
  tokensPerSecond: number | null;
  usualTokensPerSecond: number | null;
};

export type GpuVerdict =
  | { kind: 'ok' }
  | { kind: 'suspected'; sentence: string; repair: readonly string[] }
  | { kind: 'lost'; sentence: string; repair: readonly string[] };

/** On the CPU the same model is five to twenty times slower; a busy GPU shared with another model is seldom below a third. */
const SLOW_SHARE = 0.3;

/**
 * G5: after a suspend the CUDA driver can be gone for new processes while nvidia-smi still shows a healthy card; runtimes then load
 * on the CPU without a word. Two independent signs make it certain (no memory on the card, and slow), one makes it suspected.
 */
export function gpuVerdict(facts: ModelOnGpu, platform: NodeJS.Platform): GpuVerdict {
  if (!facts.isExpectedOnGpu) return { kind: 'ok' };
  const isOffGpu = facts.vramBytes === 0;
  const isSlow = slowness(facts);
  const repair = repairSteps(platform);
  if (isOffGpu && (isSlow === true || facts.hadRoomAtLoad === true)) {
    return {
      kind: 'lost',
      sentence: `${facts.model} runs on the CPU although it belongs on the GPU${speedClause(facts)}.`,
      repair,
    };
  }
  // It found no room and is as fast as ever: nothing is lost.
  if (isOffGpu && !(isSlow === false && facts.hadRoomAtLoad === false)) {
    return { kind: 'suspected', sentence: `${facts.model} holds no GPU memory although it belongs on the GPU.`, repair };
  }
  if (isSlow === true && facts.vramBytes === null) {
    return {
      kind: 'suspected',
      sentence: `${facts.model} is far slower than usual${speedClause(facts)}; it may have lost the GPU.`,
      repair,
    };
  }
  return { kind: 'ok' };
}

function slowness({ tokensPerSecond, usualTokensPerSecond }: ModelOnGpu): boolean | null {
  if (tokensPerSecond === null || usualTokensPerSecond === null || usualTokensPerSecond <= 0) return null;
  return tokensPerSecond < usualTokensPerSecond * SLOW_SHARE;
}

function speedClause({ tokensPerSecond, usualTokensPerSecond }: ModelOnGpu): string {
  if (tokensPerSecond === null || usualTokensPerSecond === null) return '';
  return ` (${tokensPerSecond.toFixed(1)} instead of ${usualTokensPerSecond.toFixed(1)} tokens per second)`;
}

/** Gentlest first. Linux: Ollama's GPU page, "Linux Suspend Resume", and NVIDIA's power management chapter. */
function repairSteps(platform: NodeJS.Platform): readonly string[] {
  const restart = 'Restart the runtime and load the model again.';
  switch (platform) {
    case 'linux':
      return [
        restart,
        'Stop the runtime, reload the driver module with `sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm`, start the runtime.',
        'To prevent it: `options nvidia NVreg_PreserveVideoMemoryAllocations=1` in /etc/modprobe.d and enable nvidia-suspend and nvidia-resume.',
      ];
    case 'win32':
      return [restart, 'Restart the graphics driver with Win+Ctrl+Shift+B, then the runtime.', 'Restart the computer.'];
    default:
      return [restart, 'Restart the computer.'];
  }
}
