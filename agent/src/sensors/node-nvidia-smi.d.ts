declare module 'node-nvidia-smi' {
  /** Runs `nvidia-smi -q -x` through a shell; `error` is an Error, or a string when anything at all stood on standard error. */
  export default function smi(callback: (error: Error | string | null, tree?: unknown) => void): void;
}
