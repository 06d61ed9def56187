import type { LocationPlan, LocationPlanGroup } from '../../reconciliation/locations-plan.ts';
import type { AnnouncedPlan, MemberPlanChange } from '../../reconciliation/plan.ts';
import { changesOf, type FullPlan } from '../../reconciliation/plan-whole.ts';
import { counted, thousands } from '../text-table.ts';

const shownChanges = 10;

const sideText = (side: MemberPlanChange['before']): string =>
  side === null ? 'nothing' : `${side.effective}/${side.hosting} (${side.reason})`;

const locationLines: readonly (readonly [keyof LocationPlan, string])[] = [
  ['removed', 'lose their Zoom location, archived first'],
  ['leftWithoutLocation', '… of those left without any location'],
  ['replacedByFallback', '… of those given the fallback'],
  ['restored', 'get their Zoom location back in its place'],
  ['added', 'are new and start with Zoom'],
  ['unflagged', 'no longer need a location'],
  ['offered', 'could return if a person accepted (restore)'],
  ['roundRobinLosingHosts', 'round robin keeps Zoom with fewer hosts'],
  ['unserved', 'kept, though nobody can host now'],
];

const kinds = ({ byKind }: LocationPlanGroup): string =>
  Object.entries(byKind)
    .map(([kind, { eventTypes }]) => `${thousands(eventTypes)} ${kind}`)
    .join(', ');

/** Locations of a plan, a line a category that is not empty. */
export function locationPlanLines(plan: LocationPlan): string[] {
  return locationLines
    .filter(([name]) => plan[name].eventTypes > 0)
    .map(([name, text]) => {
      const group = plan[name];
      return `  ${counted(group.eventTypes, 'event type')} ${text} (${kinds(group)}; e.g. ${group.examples[0]})`;
    });
}

function memberPlanLines(changes: readonly MemberPlanChange[]): string[] {
  const lines = changes.length > 0 ? ['members'] : [];
  for (const { count, before, after, examples } of changes.slice(0, shownChanges))
    lines.push(`  ${thousands(count)}  ${sideText(before)} → ${sideText(after)}  e.g. ${examples[0]}`);
  if (changes.length > shownChanges)
    lines.push(`  … ${changes.length - shownChanges} more kinds of change; --json has all`);
  return lines;
}

/** What was announced and waits, for people. */
export function describeAnnounced(name: string, { announced, generation, members }: AnnouncedPlan): string {
  const { changes } = members.summary;
  return [
    `${name}: ${counted(announced, 'member')} announced, ${changes === 0 ? 'nothing to do' : counted(changes, 'change')} (generation ${generation})`,
    ...memberPlanLines(members.changes),
  ].join('\n');
}

/** A plan for people: counts by category with examples. */
export function describePlan(name: string, plan: FullPlan): string {
  const changes = changesOf(plan);
  const { summary, changes: memberChanges } = plan.members;
  const lines = [
    `${name}: ${changes === 0 ? 'nothing to do' : counted(changes, 'change')} (${counted(summary.members, 'member')}, ${thousands(summary.canHost)} can host; generation ${plan.generation})`,
  ];
  lines.push(...memberPlanLines(memberChanges));
  const locations = locationPlanLines(plan.locations);
  if (locations.length > 0) lines.push('locations', ...locations);
  if (plan.bookings.detached + plan.bookings.attached > 0)
    lines.push(
      `bookings\n  ${thousands(plan.bookings.detached)} detached, ${thousands(plan.bookings.attached)} attached again`,
    );
  if (plan.guard.held)
    lines.push(
      `guard\n  takes Zoom from ${thousands(plan.guard.lost)} of ${counted(plan.guard.served, 'member')} served: a run would stop and ask (--max-removals ${plan.guard.lost} lets it pass)`,
    );
  return lines.join('\n');
}
