import type { Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import { insertEvent } from '../db/event-repository.ts';
import type { DB } from '../db/schema.ts';
import { type Counts, hasCounts } from './counts.ts';
import { tellLocationChanges } from './locations-apply.ts';
import type { Run } from './run-record.ts';

const pick = (counts: Counts, prefix: string): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counts)
      .filter(([category]) => category.startsWith(`${prefix}.`))
      .map(([category, count]) => [category.slice(prefix.length + 1), count]),
  );

/**
 * What an organization's run tells at its end, summed: one event for all members, one an owner for locations, one
 * for bookings, one for the run, and an audit entry with the counts. A scheduled run that found nothing is silent.
 */
export async function finishRun(trx: Transaction<DB>, run: Run): Promise<void> {
  const { id: runId, organizationId, counts, cause, actor, cascade } = run;
  await tellLocationChanges(trx, { organizationId });
  const members = pick(counts, 'members');
  if (hasCounts(members)) {
    await insertEvent(trx, {
      organizationId,
      type: 'members.connection_changed',
      subjectId: runId,
      data: { cause, ...members },
    });
  }
  const bookings = pick(counts, 'bookings');
  for (const change of ['detached', 'attached'] as const) {
    const count = bookings[change] ?? 0;
    if (count > 0) {
      await insertEvent(trx, { organizationId, type: `bookings.${change}`, subjectId: runId, data: { cause, count } });
    }
  }
  if (actor === 'schedule' && !cascade && !hasCounts(counts)) return;
  await insertEvent(trx, { organizationId, type: 'run.finished', subjectId: runId, data: { cause, cascade, counts } });
  await insertAudit(trx, {
    organizationId,
    actor,
    action: cascade ? 'run.cascade_finished' : 'run.finished',
    reason: cause,
    subjectId: runId,
    data: { counts },
  });
}
