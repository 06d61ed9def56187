import type { BenchResult } from './measure.ts';

/** A result for people, a line a figure. */
export function render(result: BenchResult): string {
  const line = (name: string, value: string | null): string =>
    value === null ? '' : `  ${name.padEnd(10)} ${value}\n`;
  return `${result.work}, ${result.members.toLocaleString('en-US')}\n${line('ours', `${result.ours.s} s`)}${line(
    'limit',
    result.limit && `${result.limit.s} s  (ours is ${result.ratioToLimit} × that)`,
  )}${line(
    'rival',
    result.rival &&
      `${result.rival.s} s for ${result.rival.members.toLocaleString('en-US')}: ${result.rival.name}${result.timesFaster === null ? '' : `  (ours is ${result.timesFaster} × faster a row)`}`,
  )}${line('latency', result.p50Ms === null ? null : `p50 ${result.p50Ms} ms, p99 ${result.p99Ms} ms`)}${line(
    'memory',
    result.peakRssMb === null ? null : `${result.peakRssMb} MB at most, the worker process alone`,
  )}${line('notes', result.notes)}`;
}
