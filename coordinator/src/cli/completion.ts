import { UsageError } from '@lai/shared/command-failure';
import type { Command } from 'commander';
import { examples } from './options.ts';
import { keyedPlace } from './place.ts';
import { fetchStatus } from './status.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** What a shell offers for the word that is being typed. `names`: of what the fleet has, when the command takes such a name. */
export interface Offer {
  readonly words: readonly string[];
  readonly names: 'nodes' | 'models' | null;
}

/** `typed`: the words after `lai`, the last one unfinished. Pure. */
export const offerFor = (program: Command, typed: readonly string[]): Offer => {
  const done = typed.slice(0, -1);
  const unfinished = typed.at(-1) ?? '';
  let command = program;
  let argument = 0;
  let pending: { long?: string | undefined; isBoolean(): boolean } | undefined;
  for (const word of done) {
    const option = command.options.find(({ long, short }) => word === long || word === short);
    const inner = command.commands.find((candidate) => candidate.name() === word);
    if (pending) pending = undefined;
    else if (word.startsWith('-')) pending = option && !option.isBoolean() ? option : undefined;
    else if (inner) {
      command = inner;
      argument = 0;
    } else argument += 1;
  }
  if (pending) return { words: [], names: pending.long === '--node' || pending.long === '--first' ? 'nodes' : null };
  const visible = command.createHelp();
  if (unfinished.startsWith('-'))
    return { words: visible.visibleOptions(command).flatMap(({ long }) => long ?? []), names: null };
  const [, ...commands] = ['', ...visible.visibleCommands(command).map((inner) => inner.name())];
  const taken = command.registeredArguments[argument]?.name();
  const names = taken === 'node' ? 'nodes' : taken === 'model' ? 'models' : null;
  return { words: commands.filter((name) => name !== 'help'), names };
};

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: `_lai() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(lai __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
COMP_WORDBREAKS=\${COMP_WORDBREAKS//:}
complete -o default -F _lai lai`,
  zsh: `#compdef lai
_lai() {
  local -a offered
  offered=("\${(@f)$(lai __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -- $offered
}
compdef _lai lai`,
  fish: `complete -c lai -f -a '(lai __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'`,
};

/** `lai completion`, and the hidden command that the shells ask. */
export const addCompletionCommand = (program: Command): void => {
  const command = program
    .command('completion')
    .description('a script that completes commands, options, nodes and models in your shell')
    .argument('<shell>', SHELLS.join(', '))
    .action((shell: string) => {
      const known = SHELLS.find((name) => name === shell);
      if (!known) throw new UsageError(`There is no completion for "${shell}": ${SHELLS.join(', ')}.`);
      console.log(SCRIPTS[known]);
    });
  examples(
    command,
    'source <(lai completion bash)                    in ~/.bashrc',
    'source <(lai completion zsh)                     in ~/.zshrc, after compinit',
    'lai completion fish | source                     in ~/.config/fish/config.fish',
  );
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: string[]) => {
      const { words: offered, names } = offerFor(program, words);
      const named = names === null ? [] : await namesOf(names).catch(() => []);
      const begun = words.at(-1) ?? '';
      console.log([...offered, ...named].filter((word) => word.startsWith(begun)).join('\n'));
    });
};

const namesOf = async (kind: 'nodes' | 'models'): Promise<string[]> => {
  const { url, key } = keyedPlace({});
  const { nodes } = await fetchStatus(url, key);
  if (kind === 'nodes') return nodes.map(({ nodeId, snapshot }) => snapshot?.name ?? nodeId);
  return [...new Set(nodes.flatMap(({ snapshot }) => snapshot?.models.map(({ id }) => id) ?? []))];
};
