import { describe, expect, it } from 'vitest';
import { commandsIn, simpleCommands } from './documented-commands.ts';

describe('simpleCommands', () => {
  it.each<[string, string[][]]>([
    ['lai status   # the fleet', [['lai', 'status']]],
    [
      'LAI_TOKEN=$(lai tokens create) lai-agent join --url x',
      [
        ['lai', 'tokens', 'create'],
        ['lai-agent', 'join', '--url', 'x'],
      ],
    ],
    [
      'curl -d \'{"a": 1} # no comment\' | sh -s -- --user',
      [
        ['curl', '-d', '{"a": 1} # no comment'],
        ['sh', '-s', '--', '--user'],
      ],
    ],
    [
      'mkdir a && tar -x <file.tar',
      [
        ['mkdir', 'a'],
        ['tar', '-x'],
      ],
    ],
    ['lai explain <request-id> >out', [['lai', 'explain', '<request-id>']]],
    ['lai models load|unload x | sh', [['lai', 'models', 'load|unload', 'x'], ['sh']]],
    ['export A=1', [['export', 'A=1']]],
    ['A=1', []],
    ['# nothing', []],
  ])('reads %j', (line, expected) => {
    expect(simpleCommands(line)).toEqual(expected);
  });
});

describe('commandsIn', () => {
  it('finds blocks, continued lines and code in the text, with their places', () => {
    const page = [
      'Run `lai status` and `LAI_X=1 lai-agent doctor --json`, not `ls -l`.',
      '```sh',
      'curl a \\',
      '  -H b',
      '```',
      '```json',
      '{}',
      '```',
    ];
    expect(commandsIn('a.md', page.join('\n'), ['lai', 'lai-agent'])).toEqual([
      { where: 'a.md:1', text: 'lai status', words: ['lai', 'status'], isTyped: false },
      { where: 'a.md:1', text: 'LAI_X=1 lai-agent doctor --json', words: ['lai-agent', 'doctor', '--json'], isTyped: false },
      { where: 'a.md:3', text: 'curl a   -H b', words: ['curl', 'a', '-H', 'b'], isTyped: true },
    ]);
  });
});
