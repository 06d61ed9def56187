/** What was written, by category: `members.written`, `locations.removed` … Nothing written: no category. */
export type Counts = Readonly<Record<string, number>>;

/** Sum by category; categories of zero are left out. */
export function addCounts(a: Counts, b: Counts): Counts {
  const sum: Record<string, number> = { ...a };
  for (const [category, count] of Object.entries(b)) if (count !== 0) sum[category] = (sum[category] ?? 0) + count;
  return sum;
}

/** The same counts under a common first word. */
export function prefixCounts(prefix: string, counts: Counts): Counts {
  return Object.fromEntries(
    Object.entries(counts)
      .filter(([, count]) => count !== 0)
      .map(([category, count]) => [`${prefix}.${category}`, count]),
  );
}

/** Whether anything was written. */
export function hasCounts(counts: Counts): boolean {
  return Object.values(counts).some((count) => count !== 0);
}
