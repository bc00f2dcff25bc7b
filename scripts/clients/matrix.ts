/** What is tried with every client, in the order of the table's columns. */
export const FEATURES = ['text', 'streaming', 'tools', 'image', 'embeddings', 'cancel', 'errors', 'hold'] as const;
export type Feature = (typeof FEATURES)[number];

export type Outcome =
  | { readonly outcome: 'ok'; readonly ms: number; readonly note?: string | undefined }
  | { readonly outcome: 'failed'; readonly problem: string }
  /** The client cannot do it, or cannot do it without a person. */
  | { readonly outcome: 'none' };

export interface Row {
  readonly client: string;
  readonly version: string;
  readonly surface: string;
  readonly outcomes: Partial<Record<Feature, Outcome>>;
  /** Why the client could not be tried at all. */
  readonly skipped?: string;
}

export const problemsOf = (rows: readonly Row[]): string[] =>
  rows.flatMap(({ client, outcomes }) =>
    FEATURES.flatMap((feature) => {
      const outcome = outcomes[feature];
      return outcome?.outcome === 'failed' ? [`${client}, ${feature}: ${outcome.problem}`] : [];
    }),
  );

const HEADINGS: Record<Feature, string> = {
  text: 'text',
  streaming: 'streaming',
  tools: 'tool loop',
  image: 'image',
  embeddings: 'embeddings',
  cancel: 'cancel',
  errors: 'errors',
  hold: 'hold',
};

/** The table of docs/clients.md. */
export const tableOf = (rows: readonly Row[]): string => {
  const cells = rows.map(({ client, version, surface, outcomes, skipped }) => [
    `${client} ${version}`,
    surface,
    ...(skipped === undefined ? FEATURES.map((feature) => cellOf(outcomes[feature])) : [`not tried: ${skipped}`]),
  ]);
  const head = ['client', 'speaks', ...FEATURES.map((feature) => HEADINGS[feature])];
  return [head, head.map(() => '---'), ...cells].map((row) => `| ${row.join(' | ')} |`).join('\n');
};

const cellOf = (outcome: Outcome | undefined): string => {
  if (outcome === undefined || outcome.outcome === 'none') return '–';
  return outcome.outcome === 'ok' ? 'yes' : '**no**';
};
