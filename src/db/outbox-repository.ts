import { sql, type Transaction } from 'kysely';
import { currentTrace, type TraceCarrier } from '../trace-context.ts';
import type { DB } from './schema.ts';

export type OutboxMessage = {
  /** name of a job in src/jobs */
  readonly job: string;
  /** what it is about: messages with equal job and key may be merged */
  readonly key: string;
  /** ids and scalars only: no token, no address */
  readonly payload: Readonly<Record<string, string | number | boolean | null>>;
  /** not before this many milliseconds from now, by the database clock */
  readonly delayMs?: number;
  /** traces that go on here; left out: the one under way */
  readonly trace?: readonly TraceCarrier[];
};

/** Says that a job is owed, in the transaction that makes it so. The relay moves it to the queue. */
export async function insertOutbox(trx: Transaction<DB>, message: OutboxMessage): Promise<void> {
  const trace = message.trace?.length === 0 ? null : (message.trace ?? currentTrace());
  await sql`
    with said as (
      insert into steward.outbox (job, key, payload, trace, created_at, available_at)
      values (${message.job}, ${message.key}, ${JSON.stringify(message.payload)}::jsonb,
              ${trace === null ? null : JSON.stringify(trace)}::jsonb, steward.now(),
              steward.now() + ${message.delayMs ?? 0} * interval '1 millisecond')
      returning 1)
    select pg_notify('steward_outbox', '') from said`.execute(trx);
}
