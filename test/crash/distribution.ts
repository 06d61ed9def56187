/** How long something took, over many times it was tried; ms. */
export type Distribution = {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly max: number;
  /** how many ended in each second, by its beginning */
  readonly bySecond: Readonly<Record<string, number>>;
};

/** The distribution of durations in ms; percentiles by nearest rank. */
export function distributionOf(durationsMs: readonly number[]): Distribution {
  const sorted = [...durationsMs].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  const bySecond = Map.groupBy(sorted, (ms) => Math.floor(ms / 1_000));
  return {
    count: sorted.length,
    min: sorted[0] ?? 0,
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    max: sorted.at(-1) ?? 0,
    bySecond: Object.fromEntries([...bySecond].map(([second, list]) => [second, list.length])),
  };
}
