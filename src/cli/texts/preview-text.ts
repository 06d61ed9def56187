import type { FullPlan } from '../../reconciliation/plan-whole.ts';
import { counted, thousands } from '../text-table.ts';
import { locationPlanLines } from './plan-text.ts';

/** The preview of a disconnect for people: who loses what (behaviour §6). */
export function describePreview(
  name: string,
  { members: { summary }, bookings, locations, generation }: FullPlan,
): string {
  const lines = [
    `Disconnecting ${name} (generation ${generation}) would mean:`,
    `  ${counted(summary.stopHosting, 'member')} who can host now could not any more`,
    `  ${counted(summary.keepPersonal, 'member')} keep Zoom through their own connection`,
    `  ${counted(bookings.detached, 'booked meeting')} keep their links and can no longer be changed`,
    ...locationPlanLines(locations),
  ];
  if (locations.removed.eventTypes === 0) lines.push('  no location removed');
  lines.push(
    `Nothing else is touched. ${thousands(locations.removed.locations)} removed locations can be restored after a reconnect.`,
  );
  return lines.join('\n');
}
