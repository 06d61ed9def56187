import type { LineProblem, ReadCsv } from './read-csv.ts';
import { mappingProblems, type WeighedMapping } from './weigh-mappings.ts';

/** What an import would do, or did: counts, and each line that cannot be done, with its number. */
export type MappingSummary = {
  readonly new: number;
  readonly moved: number;
  readonly ended: number;
  readonly unchanged: number;
  /** lines without a Zoom user, left as they are */
  readonly blank: number;
  /** how often each problem occurs */
  readonly problems: Readonly<Record<string, number>>;
  /** by line; the first thousand */
  readonly lines: readonly LineProblem[];
  readonly ignoredColumns: readonly string[];
};

const linesShown = 1_000;

/** Sums what was weighed, with what could not even be read. */
export function summarizeMappings(
  mappings: readonly WeighedMapping[],
  read: Pick<ReadCsv, 'problems' | 'blank' | 'ignoredColumns'> = { problems: [], blank: 0, ignoredColumns: [] },
): MappingSummary {
  const count = (effect: WeighedMapping['effect']): number => mappings.filter((one) => one.effect === effect).length;
  const problems: Record<string, number> = read.problems.length > 0 ? { unreadable: read.problems.length } : {};
  const lines: LineProblem[] = [...read.problems];
  for (const { line, problem, member, zoomUser } of mappings) {
    if (problem === null) continue;
    problems[problem] = (problems[problem] ?? 0) + 1;
    lines.push({ line, problem: `${problem}: ${member} → ${zoomUser ?? 'none'}: ${mappingProblems[problem]}` });
  }
  return {
    new: count('new'),
    moved: count('moved'),
    ended: count('ended'),
    unchanged: count('unchanged'),
    blank: read.blank,
    problems,
    lines: lines.sort((a, b) => a.line - b.line).slice(0, linesShown),
    ignoredColumns: read.ignoredColumns,
  };
}
