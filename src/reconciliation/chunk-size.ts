/**
 * Between half and ten times the size that was asked for. Not less: on a machine where everything waits its turn, what a
 * chunk costs besides its rows (a dozen statements, a commit) would be most of it, and smaller ones slower still.
 */
const [least, most] = [0.5, 10];

/**
 * How many keys the next chunk takes, so that it holds its organization about as long as it may. A chunk that took
 * long halves the next one at once; one that was quick grows it by half at most, as the first rows of a phase are
 * often the cheap ones.
 */
export function nextChunkSize(
  size: number,
  tookMs: number,
  { chunkSize, chunkMs }: { readonly chunkSize: number; readonly chunkMs: number },
): number {
  const factor = Math.min(1.5, Math.max(0.5, chunkMs / Math.max(1, tookMs)));
  const wished = Math.round(size * factor);
  return Math.max(1, Math.ceil(chunkSize * least), Math.min(chunkSize * most, wished));
}
