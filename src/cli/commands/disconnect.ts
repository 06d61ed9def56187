import { Option } from 'commander';
import { requestDisconnect } from '../../connections/request-disconnect.ts';
import type { Database } from '../../db/database.ts';
import { StewardError } from '../../errors.ts';
import { type FullPlan, planWhole } from '../../reconciliation/plan-whole.ts';
import { type CommandContext, defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { type FoundOrganization, findOrganization } from '../find-organization.ts';
import { locationAdapter } from '../location-adapter.ts';
import { askWhy, type WritingOptions, writingOptions } from '../reason.ts';
import { describePreview } from '../texts/preview-text.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = WritingOptions & { readonly preview?: boolean; readonly confirm?: string; readonly generation?: number };

async function previewOf(
  { io }: CommandContext<Options>,
  db: Database,
  organization: FoundOrganization,
): Promise<FullPlan> {
  const { state } = (await db
    .selectFrom('steward.org_connections')
    .select('state')
    .where('organization_id', '=', organization.id)
    .executeTakeFirst()) ?? { state: 'none' };
  if (state === 'none' || state === 'disconnecting')
    throw new StewardError(
      'nothing_to_disconnect',
      `Expected a connection of ${organization.name}, its state is ${state}; there is nothing to disconnect.`,
    );
  return planWhole(db, organization.id, { adapter: locationAdapter(io.env), assume: { state: 'disconnecting' } });
}

/** The name as typed: with --confirm, else on a terminal. */
async function typedName(
  { io, options, mayAsk, print }: CommandContext<Options>,
  organization: FoundOrganization,
  preview: FullPlan,
): Promise<string> {
  if (options.confirm !== undefined) return options.confirm;
  if (mayAsk) {
    print.note(describePreview(organization.name, preview));
    return io.ask(`Type the organization's name to disconnect it: `);
  }
  throw new StewardError(
    'confirmation_missing',
    `Expected --preview, or --confirm with the organization's name, got neither; nothing was changed.`,
  );
}

/** `disconnect ORG (--preview | --confirm NAME)` */
export const disconnect = defineCommand<Options>({
  name: 'disconnect',
  args: [['<organization>', 'id or name']],
  summary: 'end the Zoom connection of an organization, after a preview',
  details: `Shows what a disconnect would do (--preview), or does it (--confirm with the organization's name). Locations that
nothing serves any more are archived and removed by a worker; booked meetings keep their links. With --generation it is
refused if anything that matters changed since the preview of that generation.`,
  examples: [
    'disconnect Northwind --preview',
    'disconnect Northwind --confirm Northwind --generation 7 --reason "contract ended"',
  ],
  options: [
    new Option('--preview', 'show what it would do; changes nothing').conflicts('confirm'),
    new Option('--confirm <name>', "the organization's name, to do it"),
    new Option('--generation <number>', 'generation of the preview that was agreed to').argParser(wholeNumber(0, 1e9)),
    ...writingOptions(),
  ],
  async action(context) {
    const { args, options, print, open } = context;
    const { db } = await open();
    const organization = await findOrganization(db, args[0] as string);
    const preview = await previewOf(context, db, organization);
    if (options.preview) {
      print.answer({ organization, ...preview }, () => describePreview(organization.name, preview));
      print.note(
        `To do it: zoom-steward disconnect ${organization.id} --confirm "${organization.name}" --generation ${preview.generation} --reason "…"`,
      );
      return exitCodes.ok;
    }
    const name = await typedName(context, organization, preview);
    const asker = await askWhy(context);
    const generation = options.generation ?? preview.generation;
    const done = await db
      .transaction()
      .execute((trx) =>
        requestDisconnect(trx, { organizationId: organization.id, generation, typedName: name, asker }),
      );
    print.answer({ organization, ...done }, () =>
      done.runId
        ? `Disconnecting ${organization.name}: run ${done.runId}. Nothing new is made through it from now on.`
        : `${organization.name} was not connected; its open links are cancelled.`,
    );
    if (done.runId) print.note(`Follow it: zoom-steward runs watch ${done.runId}`);
    print.note(
      `To undo: zoom-steward connect-link ${organization.id}, and after a Zoom admin approved: zoom-steward restore ${organization.id}`,
    );
    return exitCodes.ok;
  },
});
