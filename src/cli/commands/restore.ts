import { insertAudit } from '../../db/audit-repository.ts';
import { StewardError } from '../../errors.ts';
import { acceptRestore } from '../../reconciliation/locations-restore.ts';
import { defineCommand } from '../define-command.ts';
import { findOrganization } from '../find-organization.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';

/** `restore ORG` */
export const restore = defineCommand<WritingOptions>({
  name: 'restore',
  args: [['<organization>', 'id or name']],
  summary: 'accept that locations return which a disconnect removed',
  details: `After a disconnect that a person asked for, removed Zoom locations return only if a person accepts. This accepts for
the whole organization: a run brings back what somebody can host and nobody edited since, each to its place.`,
  examples: ['restore Northwind --reason "reconnected, ticket 4711"'],
  options: writingOptions(),
  async action(context) {
    const { args, print, open } = context;
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const { operator, reason } = await askWhy(context);
    const actor = `operator:${operator}` as const;
    const runId = await db.transaction().execute(async (trx) => {
      const run = await acceptRestore(trx, { organizationId: organization.id, actor });
      if (run !== null)
        await insertAudit(trx, {
          organizationId: organization.id,
          actor,
          action: 'run.started',
          reason,
          subjectId: run,
        });
      return run;
    });
    if (runId === null)
      throw new StewardError(
        'nothing_offered',
        `Expected removed locations of ${organization.name} that wait for a person, found none; nothing was changed. See zoom-steward status ${organization.id}`,
      );
    print.answer({ organization, runId }, () => `Accepted: run ${runId} brings back what can be hosted.`);
    print.note(`Follow it: zoom-steward runs watch ${runId}`);
    print.note('To undo: remove the locations again in the product; what returned is no longer archived.');
  },
});
