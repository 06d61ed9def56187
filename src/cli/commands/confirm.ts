import { Option } from 'commander';
import { confirmCandidate, summarizeCandidate } from '../../connections/confirm-candidate.ts';
import type { Database } from '../../db/database.ts';
import { StewardError } from '../../errors.ts';
import { askYes } from '../confirmation.ts';
import { defineCommand } from '../define-command.ts';
import { type FoundOrganization, findOrganization } from '../find-organization.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { counted, thousands } from '../text-table.ts';

type Options = WritingOptions & { readonly candidate?: string; readonly yes?: boolean };

async function findWaiting(db: Database, organization: FoundOrganization, wanted: string | undefined): Promise<string> {
  const waiting = await db
    .selectFrom('steward.candidates as d')
    .innerJoin('steward.org_connections as c', 'c.id', 'd.connection_id')
    .select('d.id')
    .where('c.organization_id', '=', organization.id)
    .where('d.state', '=', 'awaiting_confirmation')
    .orderBy('d.created_at')
    .execute();
  const ids = waiting.map((row) => row.id).filter((id) => wanted === undefined || id === wanted);
  if (ids[0] !== undefined && ids.length === 1) return ids[0];
  const got =
    waiting.length === 0
      ? 'none'
      : ids.length === 0
        ? `"${wanted}", which is not among ${waiting.map((row) => row.id).join(', ')}`
        : `${ids.length}: ${ids.join(', ')}; choose with --candidate`;
  throw new StewardError(
    'nothing_to_confirm',
    `Expected one approval of ${organization.name} that waits for confirmation, got ${got}. See zoom-steward status ${organization.id}`,
  );
}

/** `confirm ORG` */
export const confirm = defineCommand<Options>({
  name: 'confirm',
  args: [['<organization>', 'id or name']],
  summary: "say that the Zoom account that was approved is the organization's own",
  details: `Shows who approved which Zoom account and how many members were found there, and activates the connection.
Only say yes to what the organization itself has said yes to.`,
  examples: ['confirm Northwind', 'confirm Northwind --yes --reason "owner confirmed on the phone, ticket 4711"'],
  options: [
    ...writingOptions(),
    new Option('--candidate <id>', 'which approval, if several wait'),
    new Option('--yes', 'yes, it is theirs'),
  ],
  async action(context) {
    const { args, options, print, open } = context;
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const candidateId = await findWaiting(db, organization, options.candidate);
    const seen = await summarizeCandidate(db, candidateId);
    print.note(`Zoom account ${seen.zoomAccountId ?? '(unknown)'}, approved by ${seen.approvedBy ?? '(unknown)'}`);
    if (seen.found)
      print.note(
        `${thousands(seen.found.matched)} of ${counted(seen.found.members, 'member')} found among ${counted(seen.found.zoomUsers, 'Zoom user')}`,
      );
    if (seen.costs)
      print.note(
        `Another account than before: ${counted(seen.costs.bookingsDetached, 'booking')} become detached, ${counted(seen.costs.mappingsDropped, 'mapping')} fall away`,
      );
    const asker = await askWhy(context);
    if (!options.yes) await askYes(context, `Is this the Zoom of ${organization.name}?`, '--yes');
    const done = await db.transaction().execute((trx) => confirmCandidate(trx, { candidateId, asker }));
    print.answer({ organizationId: organization.id, candidateId, ...done }, () => `${organization.name} is connected.`);
    print.note(`To undo: zoom-steward disconnect ${organization.id} --preview`);
  },
});
