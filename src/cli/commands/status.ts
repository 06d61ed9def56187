import type { Database } from '../../db/database.ts';
import { listSwitches } from '../../db/switch-repository.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import type { Printer } from '../printer.ts';
import { describeWait, readDirectoryStatus } from '../reads/directory-status.ts';
import { type FleetStatus, listTroubled, readFleet } from '../reads/fleet.ts';
import { readOrganizationStatus } from '../reads/organization-status.ts';
import { wordOf } from '../switch-words.ts';
import { counted, span, textTable, thousands } from '../text-table.ts';
import { describeOrganization } from '../texts/organization-text.ts';

const shownOrganizations = 20;

/** First what customers feel, then what waits for somebody. */
function impactLine({ organizations, states, membersWithoutHost, runs }: FleetStatus): string {
  return `${thousands(states['interrupted'] ?? 0)} of ${counted(organizations, 'organization')} interrupted, ${counted(membersWithoutHost, 'member')} cannot host because of us, ${counted(runs.stuck, 'run')} stuck`;
}

async function showFleet(db: Database, print: Printer): Promise<void> {
  const [fleet, switches, troubled] = await Promise.all([
    readFleet(db),
    listSwitches(db),
    listTroubled(db, shownOrganizations),
  ]);
  print.answer({ impact: impactLine(fleet), ...fleet, switches, needAttention: troubled }, () => {
    const lines = [print.bold(impactLine(fleet)), ''];
    for (const on of switches)
      lines.push(`PAUSED  ${wordOf(on.name)} since ${on.since.toISOString()} by ${on.actor}: ${on.reason}`);
    const { active = 0, pending = 0, disconnecting = 0 } = fleet.states;
    lines.push(
      `connections  ${thousands(active)} active (${thousands(fleet.atRisk)} at risk), ${thousands(pending)} pending, ${thousands(disconnecting)} disconnecting`,
    );
    lines.push(`runs         ${thousands(fleet.runs.open)} open, ${thousands(fleet.runs.held)} held for a person`);
    lines.push(
      `outbox       ${counted(fleet.outbox.unsent, 'message')} due${fleet.outbox.unsent > 0 ? `, the oldest for ${span(fleet.outbox.oldestAgeS)}` : ''}`,
    );
    if (troubled.length > 0) {
      const rows = troubled.map((one) => [
        one.id,
        one.name,
        one.state,
        one.why,
        one.members,
        one.deadlineAt?.toISOString() ?? null,
      ]);
      lines.push('', textTable(['organization', 'name', 'state', 'why', 'members', 'deadline'], rows));
    }
    return lines.join('\n');
  });
}

/** `status [ORG]` */
export const status = defineCommand({
  name: 'status',
  args: [['[organization]', 'id or name; without it all of them']],
  summary: 'who cannot host because of us, and what waits for somebody',
  examples: ['status', 'status Northwind', 'status --json | jq .membersWithoutHost'],
  async action({ args, print, open }) {
    const { db } = await open();
    if (args[0] === undefined) return showFleet(db, print);
    const organization = await findOrganization(db, args[0]);
    const found = await readOrganizationStatus(db, organization.id);
    const directory = found.zoomAccount && (await readDirectoryStatus(db, found.zoomAccount.id));
    print.answer({ organization, ...found, directory }, () =>
      describeOrganization(organization, found, print, directory && describeWait(directory)),
    );
  },
});
