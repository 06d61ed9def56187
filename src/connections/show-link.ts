import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Secret } from '../secret.ts';
import { hashSecret } from './random-secret.ts';
import type { Verdict } from './verdict.ts';

/** What a link's page may show to its bearer: only what the organization cannot choose, and how far things are. */
export type LinkPage = {
  readonly linkId: string;
  readonly state: 'open' | 'completed' | 'revoked' | 'expired';
  readonly expiresAt: Date;
  readonly verifiedDomains: readonly string[];
  /** the issuer's address, if it is verified */
  readonly issuerAddress: string | null;
  /** an operator of this service made it */
  readonly byOperator: boolean;
  readonly attemptsLeft: number;
  readonly progress: LinkProgress;
};

export type LinkProgress =
  | { readonly step: 'ready' }
  /** Zoom does not send back people it refuses: this is shown as long as the link lives */
  | { readonly step: 'waiting_for_zoom_admin' }
  | { readonly step: 'attempt_ended'; readonly outcome: string }
  | { readonly step: 'checking'; readonly reason: string | null }
  | { readonly step: 'failed'; readonly missing: readonly string[] }
  | { readonly step: 'awaiting_confirmation' }
  | { readonly step: 'connected' }
  | { readonly step: 'ended'; readonly state: string };

type Row = {
  id: string;
  state: LinkPage['state'];
  expired: boolean;
  expires_at: Date;
  attempts: number;
  domains: string[] | null;
  issuer: string | null;
  by_operator: boolean;
  attempt_state: string | null;
  attempt_outcome: string | null;
  candidate_state: string | null;
  verdict: Verdict | null;
};

/** GET: what the page of a link shows. Changes nothing, for mail scanners prefetch. Null: no such link. */
export async function showLink(db: Database, token: Secret): Promise<LinkPage | null> {
  const { rows } = await sql<Row>`
    select l.id, l.state, l.expires_at <= steward.now() as expired, l.expires_at, l.attempts, o.verified_domains as domains,
           case when m.email_verified and m.active then m.email end as issuer,
           l.issuer_operator is not null as by_operator,
           a.state as attempt_state, a.outcome as attempt_outcome, k.state as candidate_state, k.verdict
      from steward.connect_links l
      left join steward_app.organizations o on o.id = l.organization_id
      left join steward_app.members m on m.id = l.issuer_member_id and m.organization_id = l.organization_id
      left join lateral (select id, state, outcome from steward.connect_attempts
                          where link_id = l.id order by created_at desc, id desc limit 1) a on true
      left join steward.candidates k on k.attempt_id = a.id
     where l.token_hash = ${hashSecret(token)}`.execute(db);
  const row = rows[0];
  if (!row) return null;
  const state = row.state === 'open' && row.expired ? 'expired' : row.state;
  return {
    linkId: row.id,
    state,
    expiresAt: row.expires_at,
    verifiedDomains: row.domains ?? [],
    issuerAddress: row.issuer,
    byOperator: row.by_operator,
    attemptsLeft: Math.max(0, 10 - row.attempts),
    progress: progressOf(row, state),
  };
}

function progressOf(row: Row, state: LinkPage['state']): LinkProgress {
  switch (row.candidate_state) {
    case 'exchanged':
    case 'unidentified':
    case 'verifying':
    case 'waiting':
      return { step: 'checking', reason: row.verdict?.result === 'inconclusive' ? row.verdict.reason : null };
    case 'awaiting_confirmation':
      return { step: 'awaiting_confirmation' };
    case 'adopted':
      return { step: 'connected' };
    case 'failed':
      return { step: 'failed', missing: row.verdict?.result === 'failed' ? row.verdict.missing : [] };
    case 'expired':
    case 'cancelled':
    case 'superseded':
      return { step: 'ended', state: row.candidate_state };
    default:
      break;
  }
  if (state !== 'open') return { step: 'ended', state };
  if (row.attempt_state === null) return { step: 'ready' };
  if (row.attempt_state === 'started' || row.attempt_state === 'expired') return { step: 'waiting_for_zoom_admin' };
  if (row.attempt_state === 'returned') return { step: 'checking', reason: null };
  return { step: 'attempt_ended', outcome: row.attempt_outcome ?? row.attempt_state };
}
