import { InvalidArgumentError } from 'commander';

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Parser of a point in time: a span before now (30m, 24h, 7d), a date, or an ISO 8601 instant. */
export function pointInTime(text: string): Date {
  const [, count, unit = ''] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  if (count !== undefined) return new Date(Date.now() - Number(count) * (unitMs[unit] ?? 0));
  const instant = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(instant)) return new Date(instant);
  throw new InvalidArgumentError(
    'Expected a span like 30m, 24h or 7d, a date, or an instant like 2026-03-01T09:00:00Z.',
  );
}
