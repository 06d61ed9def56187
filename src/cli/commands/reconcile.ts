import { Option } from 'commander';
import { StewardError } from '../../errors.ts';
import { planAnnounced } from '../../reconciliation/plan.ts';
import { changesOf, planWhole } from '../../reconciliation/plan-whole.ts';
import { applyAll, applyOne, type ReconcileOptions } from '../apply-run.ts';
import { type CommandContext, defineCommand } from '../define-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { type FoundOrganization, findOrganization } from '../find-organization.ts';
import { locationAdapter } from '../location-adapter.ts';
import { eachOrganization } from '../reads/organization-pages.ts';
import { writingOptions } from '../reason.ts';
import { counted } from '../text-table.ts';
import { describeAnnounced, describePlan } from '../texts/plan-text.ts';
import { wholeNumber } from '../whole-number.ts';

type Context = CommandContext<ReconcileOptions>;

async function planOne({ io, print, open }: Context, organization: FoundOrganization): Promise<0 | 2> {
  const { db } = await open();
  const plan = await planWhole(db, organization.id, { adapter: locationAdapter(io.env) });
  const changes = changesOf(plan);
  print.answer({ organization, changes, ...plan }, () => describePlan(organization.name, plan));
  return changes === 0 ? exitCodes.ok : exitCodes.changes;
}

async function planSaid({ print, open }: Context, organization: FoundOrganization): Promise<0 | 2> {
  const { db } = await open();
  const plan = await planAnnounced(db, organization.id);
  const { changes } = plan.members.summary;
  print.answer({ organization, changes, ...plan }, () => describeAnnounced(organization.name, plan));
  return changes === 0 ? exitCodes.ok : exitCodes.changes;
}

async function planAll({ io, print, open }: Context): Promise<0 | 2> {
  const { db } = await open();
  let looked = 0;
  let drifted = 0;
  for await (const organization of eachOrganization(db)) {
    io.signal.throwIfAborted();
    const plan = await planWhole(db, organization.id, { adapter: locationAdapter(io.env) });
    const changes = changesOf(plan);
    looked += 1;
    if (changes > 0) {
      drifted += 1;
      print.item({ organization, changes, ...plan }, () => describePlan(organization.name, plan));
    }
    if (io.live) print.progress(`${counted(looked, 'organization')} planned, ${drifted} with changes`);
  }
  print.endProgress();
  print.item(
    { organizations: looked, withChanges: drifted },
    () => `${counted(looked, 'organization')} planned, ${drifted} with changes.`,
  );
  return drifted === 0 ? exitCodes.ok : exitCodes.changes;
}

/** `reconcile (ORG | --all) (--plan | --apply)` */
export const reconcile = defineCommand<ReconcileOptions>({
  name: 'reconcile',
  args: [['[organization]', 'id or name; or --all']],
  summary: 'compare what should be with what is: show it (--plan) or do it (--apply)',
  details: `Computes what should be, compares it with what is, and shows the difference (--plan) or has it written (--apply).
A plan changes nothing. With --announced it looks only at members who were announced (steward.changed) and still wait in
the outbox, without their locations: it costs what was announced, and shows nothing that nobody announced. --apply writes a run, which a worker does, and follows it; where an organization is only
observed, it ends that. A run that would take Zoom from more members than the guard allows stops and asks:
--max-removals N says how many are right, and refuses if there are more.`,
  examples: [
    'reconcile Northwind --plan',
    'reconcile Northwind --plan --announced',
    'reconcile --all --plan --json | jq -s length',
    'reconcile Northwind --apply --reason "after the import" --max-removals 20',
  ],
  options: [
    new Option('--all', 'every organization'),
    new Option('--plan', 'show what would be done').conflicts('apply'),
    new Option(
      '--announced',
      'with --plan: only members somebody said something about and nobody has looked at yet',
    ).conflicts(['apply', 'all']),
    new Option('--apply', 'do it'),
    new Option(
      '--max-removals <count>',
      'refuse to take Zoom from more members, or to remove more locations',
    ).argParser(wholeNumber(0, 1e9)),
    new Option('--no-wait', 'write the run and do not follow it'),
    ...writingOptions(),
  ],
  exits: [
    '0  --plan: nothing to do; --apply: done',
    '1  failed, or wrong usage',
    '2  --plan: there are changes',
    '3  refused: no reason, more removals than --max-removals, or the guard holds the run',
  ],
  async action(context) {
    const { args, options, open } = context;
    if ((args[0] === undefined) === !options.all)
      throw new StewardError(
        'usage',
        `Expected an organization or --all, got ${options.all ? 'both' : 'neither'}; see zoom-steward reconcile --help`,
      );
    if (!options.plan && !options.apply)
      throw new StewardError('usage', 'Expected --plan or --apply, got neither; --plan changes nothing.');
    const organization = args[0] === undefined ? undefined : await findOrganization((await open()).db, args[0]);
    if (options.plan && options.announced && organization) return planSaid(context, organization);
    if (options.plan) return organization ? planOne(context, organization) : planAll(context);
    return organization ? applyOne(context, organization) : applyAll(context);
  },
});
