/**
 * Milliseconds since it was made, for durations inside this process. The greater of the monotonic and the wall
 * clock: the first stands still while a machine is suspended, the second may be set back.
 */
export function startElapsed(): () => number {
  const monotonic = performance.now();
  const wall = Date.now();
  return () => Math.max(performance.now() - monotonic, Date.now() - wall);
}
