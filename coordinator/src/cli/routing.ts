import type { ProviderView, RoutePreview } from '@lai/shared/routing-api';
import type { Command } from 'commander';
import { examples, wholeNumber, withJson, withPlace } from './options.ts';
import { keyedPlace } from './place.ts';
import { adminCall } from './remote-administration.ts';
import { table } from './table.ts';

const MOST_TOKENS = 10_000_000;

/** `lai route`, `lai providers` */
export const addRoutingCommands = (program: Command): void => {
  examples(
    withJson(withPlace(program.command('route')))
      .description('say where a request would go now and why, without running it')
      .argument('[model]', 'as a client would write it (default: auto)')
      .option('--tokens <n>', 'size of prompt and answer', wholeNumber(0, MOST_TOKENS), 0)
      .option('--image', 'with an image')
      .option('--tool', 'with a tool')
      .option('--force', 'forced past gaming mode')
      .option('--complex', 'taken to be complex')
      .option('--home', 'must not leave home')
      .option('--gaming-on <node...>', 'as if gaming mode were on there')
      .action(async (model: string | undefined, flags) => {
        const answer = await adminCall(keyedPlace(flags))('POST /api/v1/routes/preview', {
          body: {
            model: model ?? '',
            tokens: flags.tokens,
            images: flags.image === true ? 1 : 0,
            tools: flags.tool === true ? 1 : 0,
            isForced: flags.force === true,
            isComplex: flags.complex === true,
            staysHome: flags.home === true,
            gamingOn: flags.gamingOn ?? [],
          },
        });
        process.stdout.write(flags.json ? `${JSON.stringify(answer, null, 2)}\n` : previewText(answer));
      }),
    'lai route auto --tokens 5000',
    'lai route gaming-pc --gaming-on windows-rtx',
  );
  withJson(withPlace(program.command('providers')))
    .description('providers beside the fleet: health, how busy they are, models')
    .action(async (flags) => {
      const views = await adminCall(keyedPlace(flags))('GET /api/v1/providers');
      process.stdout.write(flags.json ? `${JSON.stringify(views, null, 2)}\n` : providersText(views));
    });
};

export const previewText = ({ asked, because, steps, skipped, staysHome }: RoutePreview): string => {
  const lines = [`${asked || 'auto'}: ${because}${staysHome ? ', stays home' : ''}`];
  steps.forEach(({ name, now, isLeft }, index) => {
    lines.push(`  ${index + 1}. ${name}: ${isLeft ? `left, ${now}` : now}`);
  });
  for (const { name, reason, detail } of skipped) lines.push(`  ✗ ${name}: ${reason}, ${detail}`);
  if (steps.length === 0) lines.push('  Nothing would serve it.');
  return `${lines.join('\n')}\n`;
};

export const providersText = (views: readonly ProviderView[]): string =>
  views.length === 0
    ? 'There are no providers. docs/providers.md says how to write providers.yaml.\n'
    : table([
        ['PROVIDER', 'KIND', 'PLACE', 'HEALTH', 'LATENCY', 'RUNNING', 'MODELS', ''],
        ...views.map((view) => [
          view.id,
          view.kind,
          view.place,
          view.isEnabled ? view.health : 'disabled',
          view.latencyMs === null ? '-' : `${Math.round(view.latencyMs)} ms`,
          `${view.active}/${view.maxConcurrent}`,
          String(view.models.length),
          view.detail ?? '',
        ]),
      ]);
