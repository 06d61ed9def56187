import type { FoundOrganization } from '../find-organization.ts';
import type { Printer } from '../printer.ts';
import type { OrganizationStatus } from '../reads/organization-status.ts';
import { counted, thousands } from '../text-table.ts';

const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([, left], [, right]) => right - left)
    .map(([name, count]) => `${thousands(count)} ${name}`)
    .join(', ') || 'none stored yet';

/** What somebody has to do next, if anybody. */
function nextSteps(id: string, found: OrganizationStatus): string[] {
  const steps: string[] = [];
  for (const one of found.waiting)
    if (one.state === 'awaiting_confirmation')
      steps.push(
        `An owner must say whether this Zoom is theirs (${one.why ?? 'no reason recorded'}): zoom-steward confirm ${id}`,
      );
    else
      steps.push(
        one.state === 'waiting'
          ? `An approval waits for Zoom to answer${one.why ? ` (${one.why})` : ''}; tried again until ${one.expiresAt}.`
          : 'An approval is being checked with Zoom; nobody has to do anything.',
      );
  if (found.state === 'none') steps.push(`To connect: zoom-steward connect-link ${id}`);
  if (found.state === 'pending' && found.waiting.length === 0)
    steps.push('Waiting for a Zoom admin to approve through the link.');
  if (found.interrupted)
    steps.push(`Any Zoom admin of the same account may reconnect: zoom-steward connect-link ${id}`);
  if (found.archived.offered > 0 && found.state === 'active')
    steps.push(`Removed locations can come back: zoom-steward restore ${id}`);
  if (found.run?.state === 'held') steps.push(`A run waits for a person: zoom-steward runs show ${found.run.id}`);
  if (found.observe)
    steps.push(`Observing only, nothing is written: zoom-steward reconcile ${id} --plan, then --apply`);
  return steps;
}

/** The connection of an organization for people: impact first. */
export function describeOrganization(
  organization: FoundOrganization,
  found: OrganizationStatus,
  print: Printer,
  /** for what a walk of the Zoom users waits */
  walkWaits: string | null = null,
): string {
  const served = found.effective['organization'] ?? 0;
  const canHost = found.hosting['can_host'] ?? 0;
  const headline = `${organization.name}: ${found.state}${found.atRisk ? ` (at risk: ${found.atRisk})` : ''}, ${thousands(canHost)} of ${counted(served, 'member')} served by the organization can host`;
  const lines = [print.bold(headline), ''];
  const add = (name: string, text: string | null | undefined): void => {
    if (text) lines.push(`${name.padEnd(13)}${text}`);
  };
  add('organization', organization.id);
  add('connection', found.connectionId && `${found.connectionId}, generation ${found.generation}`);
  add('Zoom account', found.zoomAccount && `${found.zoomAccount.name ?? ''} ${found.zoomAccount.id}`.trim());
  add('approved by', found.approvedBy);
  add(
    'interrupted',
    found.interrupted &&
      `since ${found.interrupted.since}: ${found.interrupted.reason ?? 'no reason recorded'}; disconnects ${found.interrupted.deadlineAt ?? 'never by itself'}`,
  );
  add(
    'verified',
    found.verifiedAt && `${found.verifiedAt.toISOString()}, next ${found.verifyDueAt?.toISOString() ?? 'not planned'}`,
  );
  add('Zoom users', walkWaits);
  add('effective', list(found.effective));
  if (served > 0) add('hosting', list(found.hosting));
  if (found.archived.restorable > 0)
    add(
      'archive',
      `${counted(found.archived.restorable, 'location')} can be restored, ${thousands(found.archived.offered)} wait for a person to accept`,
    );
  if (found.needLocation > 0) add('locations', `${counted(found.needLocation, 'event type')} without any`);
  if (found.openLinks > 0) add('links', `${thousands(found.openLinks)} open`);
  if (found.run) add('run', `${found.run.id} ${found.run.state}, ${found.run.phase}`);
  const steps = nextSteps(organization.id, found);
  return [...lines, ...(steps.length > 0 ? ['', ...steps] : [])].join('\n');
}
