import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { JobServices } from '../jobs/services/job-services.ts';
import type { Telemetry } from '../telemetry.ts';

type Glimpse = { readonly cascade: boolean; readonly members: number; readonly ms: number };

async function glimpse(db: Database, runId: string): Promise<Glimpse | undefined> {
  const { rows } = await sql<Glimpse>`
    select cascade, coalesce((progress #>> '{members,done}')::int, 0) as members,
           coalesce(extract(epoch from coalesce(ended_at, steward.now()) - started_at) * 1000, 0)::float8 as ms
      from steward.runs where id = ${runId}`.execute(db);
  return rows[0];
}

const ended: ReadonlySet<string> = new Set(['done', 'superseded', 'held']);

/**
 * The same services, which also tell how many members runs looked at and how long they took. Two look-ups by primary
 * key a slice of an organization; failing to tell fails nothing.
 */
export function observeRuns(services: JobServices, db: Database, telemetry: Telemetry): JobServices {
  const single = async <T extends { readonly state: string }>(kind: string, work: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const result = await work();
    if (kind === 'member') telemetry.emit('run_members', { kind, members: 1 });
    telemetry.emit('run_ended', { kind, outcome: result.state, ms: performance.now() - began });
    return result;
  };
  return {
    ...services,
    reconcileMember: (memberId, why) => single('member', () => services.reconcileMember(memberId, why)),
    reconcileEventType: (eventTypeId, why) => single('event_type', () => services.reconcileEventType(eventTypeId, why)),
    async advanceRun(runId, slice) {
      const before = await glimpse(db, runId).catch(() => undefined);
      const result = await services.advanceRun(runId, slice);
      if (result.state === 'busy' || result.state === 'paused' || before === undefined) return result;
      const after = await glimpse(db, runId).catch(() => undefined);
      if (after === undefined) return result;
      const kind = after.cascade ? 'cascade' : 'organization';
      telemetry.emit('run_members', { kind, members: Math.max(0, after.members - before.members) });
      if (ended.has(result.state)) telemetry.emit('run_ended', { kind, outcome: result.state, ms: after.ms });
      return result;
    },
  };
}
