import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable } from './table.ts';

const lanes = createTable({
  name: 'steward.run_lanes',
  comment: 'Phases of organization runs that are worked on from two keys at once: where the second lane stands.',
  columns: {
    run_id: ['uuid primary key references steward.runs (id) on delete cascade', 'The run.'],
    phase: ['text not null', 'The phase that is split.'],
    pivot: ['uuid not null', 'Last key of the first lane; the second has those after it.'],
    cursor: ['uuid not null', 'Last key that the second lane worked on; the pivot at its start.'],
    ended: ['boolean not null default false', 'Whether the second lane has come to the end of the phase.'],
    chunk: ['integer', 'Keys its next chunk takes; null: as many as the first lane.'],
    looked: ['integer not null default 0', 'Keys it looked at that the progress of the run does not count yet.'],
    counts: [`jsonb not null default '{}'`, 'What it wrote that the counts of the run do not have yet.'],
  },
  with: 'fillfactor = 50',
});

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of lanes) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table steward.run_lanes`.execute(db);
}
