import type { Happening } from './history.ts';

/** A hash of everything that happened, always; the lines themselves when somebody wants to read them. */
export class Trace {
  readonly lines: string[] | null;
  readonly #startMs: number;
  #hash = 0x811c9dc5;
  #other = 0x9e3779b9;

  constructor(options: { keepsLines: boolean; startMs: number }) {
    this.lines = options.keepsLines ? [] : null;
    this.#startMs = options.startMs;
  }

  get hash(): string {
    return [this.#hash, this.#other].map((part) => (part >>> 0).toString(16).padStart(8, '0')).join('');
  }

  add(nowMs: number, happening: Happening): void {
    const line = `${((nowMs - this.#startMs) / 1_000).toFixed(4).padStart(9)}  ${lineOf(happening)}`;
    this.lines?.push(line);
    for (let at = 0; at < line.length; at += 1) {
      const code = line.charCodeAt(at);
      this.#hash = Math.imul(this.#hash ^ code, 0x01000193);
      this.#other = Math.imul(this.#other + code, 0x85ebca6b) ^ (this.#other >>> 13);
    }
  }
}

const lineOf = (happening: Happening): string => {
  switch (happening.kind) {
    case 'step':
      return `— ${happening.what}`;
    case 'log':
      return `${happening.replicaId}: ${happening.text}`;
    case 'request.arrived': {
      const { id, key, model, text, priorityClass, poison, abortAfterMs, queueMs, totalMs } = happening.request;
      const notes = [poison && `poison (${poison})`, abortAfterMs !== null && `leaves after ${Math.round(abortAfterMs)} ms`];
      return [
        `${id} arrives at ${happening.replicaId}: ${model}, key ${key}, ${priorityClass}, "${text}"`,
        `${Math.round(queueMs)}/${Math.round(totalMs)} ms`,
        ...notes.filter(Boolean),
      ].join(', ');
    }
    case 'request.content':
      return `${happening.requestId} reads content of ${happening.attemptId}`;
    case 'request.ended':
      return `${happening.requestId} ends: ${happening.how}${happening.attempts.map((words) => `; ${words}`).join('')}`;
    case 'attempt.started':
      return `${happening.replicaId} starts ${happening.attemptId} of ${happening.requestId} on ${happening.nodeId} (epoch ${happening.epoch})`;
    case 'attempt.settled':
      return `${happening.attemptId} has settled: ${happening.outcome}`;
    case 'attempt.refused':
      return `${happening.nodeId} refuses ${happening.attemptId}: ${happening.code}`;
    case 'run.began':
      return `${happening.nodeId} runs ${happening.attemptId} of ${happening.requestId}`;
    case 'run.ended':
      return `${happening.nodeId} has ended ${happening.attemptId}`;
    case 'engine.died':
      return `${happening.nodeId}: the engine dies${happening.by ? ` of ${happening.by.attemptId}, "${happening.by.text}"` : ''}, with ${happening.inFlight} on it`;
    case 'load.asked':
      return `${happening.replicaId} asks ${happening.nodeId} to load ${happening.model}`;
    case 'load.answered':
      return `${happening.replicaId} hears from ${happening.nodeId} about ${happening.model}: ${happening.code ?? 'loaded'}`;
    case 'message.unreadable':
      return `${happening.replicaId} sends what no node can read: ${happening.what}`;
    case 'replica.born':
      return `${happening.replicaId} starts`;
    case 'replica.died':
      return `${happening.replicaId} dies`;
  }
};
