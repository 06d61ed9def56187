import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { addColumns } from './table.ts';

/** column of steward.directories → [definition, comment] */
const added: Readonly<Record<string, readonly [string, string]>> = {
  medium_per_second: ['integer', 'Medium calls a second that Zoom allows the account, as learned; null: not said yet.'],
  medium_per_day: ['integer', 'The same a UTC day.'],
  light_per_second: ['integer', 'Light calls a second, as learned: says which plan it is where medium is not said.'],
  light_per_day: ['integer', 'The same a UTC day.'],
  limits_learned_at: ['timestamptz', 'When a limit was last learned that was not known.'],
  limits_learned_from: [
    "text check (limits_learned_from in ('headers', 'refusal'))",
    'From what: X-RateLimit headers, or a 429 without them, which is believed for a day.',
  ],
  stated_limits: [
    'jsonb',
    'What an operator says the contract allows: {perSecond, perDay, actor, reason, at}; goes before what was learned.',
  ],
  walk_asked_at: ['timestamptz', 'When a walk last asked for a page: the next walk or slice keeps its distance.'],
  walk_day: ['timestamptz', 'Begin of the UTC day that walk_calls counts.'],
  walk_calls: ['integer not null default 0', 'Calls of walks on that day, repeated ones included.'],
  walk_resumes_at: ['timestamptz', 'No walk before: our share of the daily limit is used. Holds walks only.'],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of addColumns('steward.directories', added)) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const name of Object.keys(added))
    await sql.raw(`alter table steward.directories drop column ${name}`).execute(db);
}
