import type { OneTimeRun } from '../../connections/one-time-run.ts';
import type { OneTimeRunPreview } from '../../reconciliation/preview-one-time-run.ts';
import { counted, textTable, thousands } from '../text-table.ts';

const lines = [
  ['added', 'get Zoom in first place'],
  ['haveZoom', 'have Zoom already'],
  ['nobodyCanHost', 'are left alone: nobody can host'],
  ['waitForReturn', 'are left alone: a removed Zoom location waits for its return'],
] as const satisfies readonly (readonly [keyof OneTimeRunPreview, string])[];

/** What a one-time run would do, a line a group that is not empty. */
export function oneTimePreviewText(preview: OneTimeRunPreview): string {
  const found = lines.filter(([name]) => preview[name].eventTypes > 0);
  return [
    `Generation ${preview.generation}.`,
    ...(found.length === 0 ? ['No event type is left to look at.'] : []),
    ...found.map(([name, text]) => {
      const { eventTypes, byKind, examples } = preview[name];
      const kinds = Object.entries(byKind).map(([kind, group]) => `${thousands(group.eventTypes)} ${kind}`);
      return `  ${counted(eventTypes, 'event type')} ${text} (${kinds.join(', ')}; e.g. ${examples[0]})`;
    }),
  ].join('\n');
}

/** One-time runs that were ordered, the newest first. */
export function oneTimeRunsText(runs: readonly OneTimeRun[]): string {
  if (runs.length === 0) return 'None was ordered.';
  return textTable(
    ['id', 'what', 'state', 'event types', 'kept', 'by', 'ordered'],
    runs.map(({ id, undoes, state, eventTypes, kept, actor, createdAt }) => [
      id,
      undoes === null ? 'adds Zoom' : `undoes ${undoes}`,
      state,
      thousands(eventTypes),
      kept === null ? '' : thousands(kept),
      actor,
      createdAt.toISOString(),
    ]),
  );
}
