import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { StewardError } from '../../errors.ts';

export type RunRow = {
  readonly id: string;
  readonly target: 'organization' | 'member' | 'event_type';
  readonly organizationId: string;
  readonly organization: string | null;
  readonly targetId: string;
  readonly cause: string;
  readonly actor: string;
  readonly cascade: boolean;
  readonly generation: number;
  readonly state: 'queued' | 'running' | 'done' | 'superseded' | 'held' | 'failed';
  readonly phase: string;
  readonly progress: Readonly<
    Record<string, { readonly done: number; readonly total: number | null; readonly slowed?: string }>
  >;
  readonly counts: Readonly<Record<string, number>>;
  readonly plan: unknown;
  readonly approvedBy: string | null;
  readonly supersededBy: string | null;
  readonly error: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
};

const columns = sql`
  r.id, r.target, r.organization_id as "organizationId", o.name as organization, r.target_id as "targetId", r.cause, r.actor,
  r.cascade, r.generation, r.state, r.phase, r.progress, r.counts, r.plan, r.approved_by as "approvedBy",
  r.superseded_by as "supersededBy", r.error, r.created_at as "createdAt", r.started_at as "startedAt", r.ended_at as "endedAt"`;

export type RunFilter = {
  readonly organizationId?: string;
  readonly targetId?: string;
  readonly state?: string;
  /** written at or after this instant */
  readonly since?: Date;
  /** written before this run: the next page */
  readonly before?: string;
  readonly limit: number;
};

/** Runs, newest first. */
export async function listRuns(
  db: Database,
  { organizationId, targetId, state, since, before, limit }: RunFilter,
): Promise<RunRow[]> {
  const { rows } = await sql<RunRow>`
    select ${columns} from steward.runs r left join steward_app.organizations o on o.id = r.organization_id
     where (${organizationId ?? null}::uuid is null or r.organization_id = ${organizationId ?? null}::uuid)
       and (${targetId ?? null}::uuid is null or r.target_id = ${targetId ?? null}::uuid)
       and (${state ?? null}::text is null or r.state = ${state ?? null}::text)
       and (${since ?? null}::timestamptz is null or r.created_at >= ${since ?? null}::timestamptz)
       and (${before ?? null}::uuid is null or (r.created_at, r.id) < (
             select b.created_at, b.id from steward.runs b where b.id = ${before ?? null}::uuid))
     order by r.created_at desc, r.id desc limit ${limit}`.execute(db);
  return rows;
}

const template = '00000000-0000-0000-0000-000000000000';
const shortestPrefix = 4;

/** The smallest or largest id that begins with what was typed, so that the index finds it. */
const completeId = (typed: string, digit: '0' | 'f'): string =>
  typed + template.slice(typed.length).replaceAll('0', digit);

/** A run by its whole id, or by the first characters of it if only one begins so. */
export async function getRun(db: Database, typed: string): Promise<RunRow> {
  const { rows } =
    typed.length < shortestPrefix || !template.startsWith(typed.replaceAll(/[0-9a-f]/gi, '0'))
      ? { rows: [] }
      : await sql<RunRow>`
          select ${columns} from steward.runs r left join steward_app.organizations o on o.id = r.organization_id
           where r.id between ${completeId(typed, '0')}::uuid and ${completeId(typed, 'f')}::uuid limit 2`.execute(db);
  if (rows[0] && rows.length === 1) return rows[0];
  const got = rows.length > 1 ? `"${typed}", with which several begin` : `"${typed}", which none has`;
  throw new StewardError('run_not_found', `Expected the id of a run, got ${got}; "zoom-steward runs list" shows them.`);
}

/** The newest run of an organization as a whole, if there is one. */
export async function findNewestRun(db: Database, organizationId: string): Promise<RunRow | undefined> {
  const { rows } = await sql<RunRow>`
    select ${columns} from steward.runs r left join steward_app.organizations o on o.id = r.organization_id
     where r.organization_id = ${organizationId} and r.target = 'organization'
     order by r.created_at desc limit 1`.execute(db);
  return rows[0];
}
