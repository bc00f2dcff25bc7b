import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Affinity } from '../../routing/affinity.ts';

/** The parts of a request that tell conversations apart. */
export interface Conversation {
  /** The body's own name for it: `prompt_cache_key`, `user`. */
  readonly name: string | null;
  /** Beginning of the prompt; only its first bytes count. */
  readonly start: string;
}

/** OpenCode, Codex, Claude Code and Open WebUI say which conversation a request belongs to, each in a way of its own. */
const SESSION_HEADERS = [
  'x-session-affinity',
  'x-session-id',
  'session-id',
  'session_id',
  'x-claude-code-session-id',
  'x-openwebui-chat-id',
] as const;

/** Enough to tell prompts apart, little enough to hash on every request. */
const PREFIX_CHARACTERS = 8_192;

/** Hashed together with the key: one key's conversations are never another's. */
export const affinityOf = (headers: IncomingHttpHeaders, keyId: string, conversation: Conversation | null): Affinity => {
  const fromHeaders = SESSION_HEADERS.map((name) => headers[name]).find((value) => typeof value === 'string' && value !== '');
  const session = fromHeaders ?? conversation?.name ?? '';
  const start = conversation?.start.slice(0, PREFIX_CHARACTERS) ?? '';
  return {
    session: session === '' ? null : hashOf(keyId, `session ${session}`),
    prefix: start === '' ? null : hashOf(keyId, `prefix ${start}`),
  };
};

const hashOf = (keyId: string, text: string): string =>
  createHash('sha1').update(keyId).update('\n').update(text).digest('base64url').slice(0, 16);
