/** What makes it worth while to send a request where an earlier one went: the runtime there still has its prefix in the KV cache. */
export interface Affinity {
  /** Hash of the conversation, as the client names it; null when it names none. */
  readonly session: string | null;
  /** Hash of what stays the same at the beginning of its prompts. */
  readonly prefix: string | null;
}
