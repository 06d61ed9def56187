import type { Database } from '../db/database.ts';
import { StewardError } from '../errors.ts';
import { approveRun } from '../reconciliation/hold-run.ts';
import { changesOf, planWhole, removalsOf } from '../reconciliation/plan-whole.ts';
import type { CommandContext } from './define-command.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import type { FoundOrganization } from './find-organization.ts';
import { locationAdapter } from './location-adapter.ts';
import { eachOrganization } from './reads/organization-pages.ts';
import type { RunRow } from './reads/run-rows.ts';
import { askWhy, type WritingOptions } from './reason.ts';
import { startRun } from './start-run.ts';
import { counted } from './text-table.ts';
import { describeRun } from './texts/run-text.ts';
import { watchRun } from './watch-run.ts';

export type ReconcileOptions = WritingOptions & {
  readonly all?: boolean;
  readonly plan?: boolean;
  readonly announced?: boolean;
  readonly apply?: boolean;
  readonly maxRemovals?: number;
  readonly wait: boolean;
};

type Context = CommandContext<ReconcileOptions>;

/** Without a person who watches, a run that nobody starts is an error after this, ms. */
const patienceMs = 60_000;

const undo = (organization: FoundOrganization): string =>
  `What was removed is archived and returns by itself when it is served again. To stop runs: zoom-steward pause writes; status: zoom-steward status ${organization.id}`;

async function assertRemovals(db: Database, context: Context, organization: FoundOrganization): Promise<void> {
  const most = context.options.maxRemovals;
  if (most === undefined) return;
  const removals = removalsOf(await planWhole(db, organization.id, { adapter: locationAdapter(context.io.env) }));
  if (removals > most)
    throw new StewardError(
      'removals_above_limit',
      `Expected at most ${most} removals in ${organization.name}, the plan has ${removals}; nothing was changed. Look: zoom-steward reconcile ${organization.id} --plan`,
    );
}

/** A held run that --max-removals covers is let pass; what the guard counted is compared, not what was planned before. */
async function passGuard(
  db: Database,
  run: RunRow,
  context: Context,
  operator: string,
  reason: string,
): Promise<boolean> {
  const lost = (run.plan as { guard?: { lost?: number } } | null)?.guard?.lost;
  const most = context.options.maxRemovals;
  if (run.state !== 'held' || most === undefined || lost === undefined || lost > most) return false;
  await approveRun(db, run.id, { actor: `operator:${operator}`, reason });
  context.print.note(
    `The guard held the run: it takes Zoom from ${counted(lost, 'member')}; --max-removals ${most} lets it pass.`,
  );
  return true;
}

/** Writes the run of one organization and follows it. */
export async function applyOne(context: Context, organization: FoundOrganization): Promise<ExitCode> {
  const { print, io, options, open } = context;
  const { db } = await open();
  const { operator, reason } = await askWhy(context);
  await assertRemovals(db, context, organization);
  const { runId, endedObserving } = await startRun(db, { organization, operator, reason });
  if (endedObserving) print.note(`${organization.name} was only observed until now; from this run on it is written.`);
  if (!options.wait) {
    print.answer(
      { organization, runId, state: 'queued' },
      () => `Run ${runId} is written; zoom-steward runs watch ${runId}`,
    );
    return exitCodes.ok;
  }
  const follow = { print, signal: io.signal, ...(context.mayAsk ? {} : { patienceMs }) };
  let run = await watchRun(db, runId, follow);
  if (await passGuard(db, run, context, operator, reason)) run = await watchRun(db, run.id, follow);
  print.answer({ organization, endedObserving, run }, () => describeRun(run));
  print.note(undo(organization));
  if (run.state === 'done') return exitCodes.ok;
  return run.state === 'held' ? exitCodes.refused : exitCodes.error;
}

/** Writes a run for every organization whose plan finds something, and follows none. */
export async function applyAll(context: Context): Promise<ExitCode> {
  const { print, io, open } = context;
  const { db } = await open();
  const { operator, reason } = await askWhy(context);
  let looked = 0;
  let started = 0;
  for await (const organization of eachOrganization(db)) {
    io.signal.throwIfAborted();
    looked += 1;
    const plan = await planWhole(db, organization.id, { adapter: locationAdapter(io.env) });
    if (changesOf(plan) === 0) continue;
    await assertRemovals(db, context, organization);
    const { runId } = await startRun(db, { organization, operator, reason });
    started += 1;
    print.item(
      { organization, runId, changes: changesOf(plan) },
      () => `${organization.name}: run ${runId}, ${counted(changesOf(plan), 'change')}`,
    );
  }
  print.item(
    { organizations: looked, runs: started },
    () => `${counted(looked, 'organization')} looked at, ${counted(started, 'run')} written.`,
  );
  print.note('To see them: zoom-steward runs list; to stop them: zoom-steward pause writes');
  return exitCodes.ok;
}
