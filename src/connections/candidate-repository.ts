import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { lockConnection } from './authority.ts';

export type CandidateState = DB['steward.candidates']['state'];

/** States in which a candidate may still become the connection in use. */
export const openCandidateStates = [
  'exchanged',
  'unidentified',
  'verifying',
  'waiting',
  'awaiting_confirmation',
] as const;

const isOpen = (state: CandidateState): boolean => (openCandidateStates as readonly string[]).includes(state);

/** A candidate as it is, unlocked. Throws candidate_not_found. */
export async function getCandidate(db: Database | Transaction<DB>, candidateId: string) {
  const row = await db
    .selectFrom('steward.candidates as c')
    .leftJoin('steward.grants as g', 'g.id', 'c.grant_id')
    .innerJoin('steward.org_connections as o', 'o.id', 'c.connection_id')
    .selectAll('c')
    .select(['g.zoom_account_id', 'g.zoom_user_id', 'g.state as grant_state', 'g.scopes', 'o.organization_id'])
    .select(sql<boolean>`c.expires_at <= steward.now()`.as('expired'))
    .where('c.id', '=', candidateId)
    .executeTakeFirst();
  if (row) return { ...row, open: isOpen(row.state) };
  throw new StewardError('candidate_not_found', 'Expected a candidate, found none; check the id.', {
    context: { candidateId },
  });
}

/** Locks the connection, then the candidate: the order everybody keeps. */
export async function lockCandidate(trx: Transaction<DB>, candidateId: string) {
  const { connection_id } = await getCandidate(trx, candidateId);
  const connection = await lockConnection(trx, connection_id);
  await trx.selectFrom('steward.candidates').select('id').where('id', '=', candidateId).forUpdate().execute();
  return { connection, candidate: await getCandidate(trx, candidateId) };
}
