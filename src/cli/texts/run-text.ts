import type { RunRow } from '../reads/run-rows.ts';
import { span, thousands } from '../text-table.ts';

/** "4,000/10,000", or "4,000" where the total was not counted; and why it is slow. */
export const doneOf = ({
  done,
  total,
  slowed,
}: {
  readonly done: number;
  readonly total: number | null;
  readonly slowed?: string;
}): string =>
  `${total === null ? thousands(done) : `${thousands(done)}/${thousands(total)}`}${slowed ? ` (slowed: ${slowed})` : ''}`;

/** "members 4,000/10,000" of a run under way; empty for others. */
export function progressText({ state, phase, progress }: RunRow): string {
  if (state !== 'running') return '';
  const part = progress[phase];
  return part ? `${phase} ${doneOf(part)}` : phase;
}

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${thousands(count)} ${name}`)
    .join(', ') || 'nothing to do';

/** A run for people: what, why, who, how far, and what took over. */
export function describeRun(run: RunRow): string {
  const lines = [
    `${run.cascade ? 'cascade' : 'reconciliation'} of ${run.target} ${run.target === 'organization' ? (run.organization ?? run.targetId) : run.targetId}: ${run.state}`,
    '',
    `run          ${run.id}, generation ${run.generation}`,
    `cause        ${run.cause} by ${run.actor}`,
    `created      ${run.createdAt.toISOString()}`,
  ];
  const add = (name: string, text: string | null | undefined): void => {
    if (text) lines.push(`${name.padEnd(13)}${text}`);
  };
  add('started', run.startedAt?.toISOString());
  add(
    'ended',
    run.endedAt &&
      `${run.endedAt.toISOString()}${run.startedAt ? `, after ${span((run.endedAt.getTime() - run.startedAt.getTime()) / 1000)}` : ''}`,
  );
  add('progress', progressText(run));
  add('written', listed(run.counts));
  add('superseded', run.supersededBy && `by run ${run.supersededBy}`);
  add('approved', run.approvedBy);
  add('error', run.error);
  if (run.state === 'held')
    lines.push(
      '',
      `It would take Zoom from more members than the guard allows. Look: zoom-steward reconcile ${run.organizationId} --plan`,
      `Let it pass: zoom-steward reconcile ${run.organizationId} --apply --max-removals N`,
    );
  return lines.join('\n');
}
