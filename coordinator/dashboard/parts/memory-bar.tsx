import type { Gpu, LoadedModel } from '@lai/shared/node';
import { gigabytes } from './format.ts';

const SERIES = ['var(--series-1)', 'var(--series-2)', 'var(--series-3)', 'var(--series-4)', 'var(--series-5)'];
export const seriesOf = (at: number): string => SERIES[at % SERIES.length] ?? 'var(--other)';

interface Segment {
  readonly key: string;
  readonly label: string;
  readonly share: number;
  readonly color: string;
  readonly isLoading: boolean;
}

/** Who holds a GPU's memory: our models, other programs, nobody. Pure. */
export const segmentsOf = (gpu: Pick<Gpu, 'vramTotalBytes' | 'vramUsedBytes'>, models: readonly LoadedModel[]): Segment[] => {
  const total = gpu.vramTotalBytes;
  if (total === null || total <= 0) return [];
  const held = models.flatMap((model, at) => {
    const bytes = model.vramBytes || (model.state === 'loading' ? model.sizeBytes : null) || 0;
    const segment = { key: model.id, color: seriesOf(at), isLoading: model.state === 'loading' };
    return bytes > 0 ? [{ ...segment, label: `${model.id} ${gigabytes(bytes)}`, bytes }] : [];
  });
  const ours = held.reduce((sum, { bytes, isLoading }) => sum + (isLoading ? 0 : bytes), 0);
  const other = Math.max(0, (gpu.vramUsedBytes ?? ours) - ours);
  const all = [
    ...held,
    { key: 'other', label: `other programs ${gigabytes(other)}`, color: 'var(--other)', isLoading: false, bytes: other },
  ];
  const sum = all.reduce((bytes, segment) => bytes + segment.bytes, 0);
  const scale = Math.max(total, sum);
  return all.filter(({ bytes }) => bytes / scale > 0.004).map(({ bytes, ...segment }) => ({ ...segment, share: bytes / scale }));
};

/** Bytes that neither we nor nobody holds; null where the card does not say. */
export const otherBytes = (gpus: readonly Gpu[], models: readonly LoadedModel[]): number | null => {
  const used = gpus.map(({ vramUsedBytes }) => vramUsedBytes);
  if (used.length === 0 || used.some((bytes) => bytes === null)) return null;
  const ours = models.reduce((sum, { vramBytes }) => sum + (vramBytes ?? 0), 0);
  return Math.max(0, used.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0) - ours);
};

export const MemoryBar = ({
  gpu,
  models,
  isStale = false,
}: {
  gpu: Pick<Gpu, 'vramTotalBytes' | 'vramUsedBytes'>;
  models: readonly LoadedModel[];
  isStale?: boolean;
}) => {
  const segments = segmentsOf(gpu, models);
  const words = segments.map(({ label, isLoading }) => (isLoading ? `${label} (loading)` : label)).join(', ');
  return (
    <div
      role="img"
      aria-label={`Memory: ${words || (gpu.vramTotalBytes === null ? 'not known' : 'empty')}${isStale ? ', as it was last' : ''}`}
      className="flex h-3.5 gap-[2px] overflow-hidden rounded-[4px] bg-empty"
    >
      {segments.map(({ key, label, share, color, isLoading }) => (
        <span
          key={key}
          title={label}
          className={`bar-part block h-full transition-[width] duration-200 ${isLoading ? 'bar-load' : ''}`}
          style={{
            width: `${share * 100}%`,
            ...(isStale
              ? { boxShadow: `inset 0 0 0 2px ${color}` }
              : isLoading
                ? { ['--fill' as string]: color }
                : { background: color }),
          }}
        />
      ))}
    </div>
  );
};
