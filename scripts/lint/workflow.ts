/** What is wrong with a workflow of GitHub Actions, in sentences; empty when nothing is. */
import { registerHooks } from 'node:module';
import { parse } from 'yaml';

// The package imports JSON in a way that Node does not take.
const asJson = { importAttributes: { type: 'json' } };
registerHooks({ load: (url, context, next) => next(url, url.endsWith('.min.json') ? { ...context, ...asJson } : context) });
const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await import('@actions/workflow-parser');

/** What we look at; whether the rest is a workflow is the parser's business. */
interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}
interface Job {
  readonly uses?: string;
  readonly 'runs-on'?: string;
  readonly 'timeout-minutes'?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps?: readonly Step[];
}
interface Workflow {
  readonly on: unknown;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly concurrency?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** What GitHub itself would say about it. */
const itsFindings = async (name: string, text: string): Promise<string[]> => {
  const { context, value } = parseWorkflow({ name, content: text }, new NoOperationTraceWriter());
  if (!value) return context.errors.getErrors().map(({ message }) => message);
  const { errors = [] } = await convertWorkflowTemplate(context, value);
  return [...new Set([...context.errors.getErrors().map(({ message }) => message), ...errors.map(({ Message }) => Message)])];
};

/** A tag can be moved to something else, by whoever has taken over an action; a commit cannot. */
const isPinned = (uses: string): boolean => uses.startsWith('./') || /^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/.test(uses);

const stepFindings = ({ uses, run, with: inputs }: Step): (string | false)[] => [
  uses !== undefined && !isPinned(uses) && `${uses} is not pinned to a commit`,
  uses?.startsWith('actions/checkout@') === true &&
    inputs?.['persist-credentials'] !== false &&
    'checkout leaves credentials for every later step',
  // What stands in an expression becomes part of the script, and a branch may be called anything.
  run?.includes('${{') === true && 'a script has an expression in it; give it a variable',
  run !== undefined && /\b(?:curl|wget)\b[^\n]*\|\s*(?:ba)?sh\b/.test(run) && 'a script runs what it fetches',
];

const ownFindings = (text: string): string[] => {
  const { on, permissions, concurrency, jobs } = parse(text) as Workflow;
  const events = typeof on === 'string' ? [on] : Array.isArray(on) ? on.map(String) : Object.keys((on ?? {}) as object);
  const general = [
    events.includes('pull_request_target') && 'pull_request_target gives strangers our rights',
    JSON.stringify(permissions) !== '{"contents":"read"}' && 'it may do more than read, or does not say what it may',
    concurrency === undefined && 'nothing says what happens when it is started twice',
    ...[...text.matchAll(/^\s*- uses: (?!\.\/)\S+@\S+(?! # v\d)\s*$/gm)].map(
      ([line]) => `${line.trim()} does not say which version that is`,
    ),
  ];
  const perJob = Object.entries(jobs).flatMap(([name, job]) => {
    if (job.uses !== undefined) return isPinned(job.uses) ? [] : [`${name}: ${job.uses} is not pinned to a commit`];
    const findings = [
      !/^\w+-\d[\d.]*$/.test(job['runs-on'] ?? '') && 'runs on whatever is newest',
      job['timeout-minutes'] === undefined && 'may run for six hours',
      ...(job.steps ?? []).flatMap(stepFindings),
    ];
    return findings.filter((finding) => finding !== false).map((finding) => `${name}: ${finding}`);
  });
  return [...general.filter((finding) => finding !== false), ...perJob];
};

export const workflowFindings = async (name: string, text: string): Promise<string[]> => [
  ...(await itsFindings(name, text)),
  ...ownFindings(text),
];
