import { sql, type Transaction } from 'kysely';
import type { Actor } from '../../db/audit-repository.ts';
import type { Database } from '../../db/database.ts';
import { insertOutbox } from '../../db/outbox-repository.ts';
import type { DB } from '../../db/schema.ts';
import { type DeadReason, fileGrant, lockZoomAccount } from '../../grants/grant-repository.ts';
import type { TrustedApi } from '../../grants/token-facts.ts';
import type { Vault } from '../../grants/vault.ts';
import { Secret } from '../../secret.ts';
import { activatePersonal, lockPersonal } from '../personal-connections.ts';
import { fingerprintOf, type ImportLine, readImportLine, userOf } from './import-line.ts';

/** Why a line is not taken over. */
export type ImportRefusal =
  | 'no_active_member'
  /** the member has another managed Zoom here */
  | 'has_own'
  /** this person's grant has ended here: a new consent is needed */
  | 'grant_ended'
  /** the grant we hold for this Zoom user is of somebody with another address: nothing shows that it is this member's */
  | 'other_person'
  | 'member_twice'
  /** the same Zoom user with other tokens: at most one of the pairs lives */
  | 'zoom_user_twice'
  /** the same tokens for another Zoom user: at most one of them is theirs */
  | 'tokens_twice';

type Decision =
  | { readonly kind: 'new' }
  /** we hold this person's grant already: the member joins it, and the line's tokens are not touched */
  | { readonly kind: 'joins'; readonly grantId: string }
  | { readonly kind: 'done_before' }
  | { readonly kind: 'refused'; readonly why: ImportRefusal };

export type ImportSummary = {
  taken: number;
  joined: number;
  doneBefore: number;
  refused: number;
  /** how many lines each reason has */
  readonly reasons: Record<string, number>;
  /** the first thousand that are not taken over, by the number of their line */
  readonly lines: { readonly line: number; readonly problem: string }[];
};

export type ImportOptions = {
  /** client id of the personal app, whose tokens these are */
  readonly clientId: string;
  readonly vault: Vault;
  readonly api: TrustedApi;
  readonly actor: Actor;
  /** false: decide and count only */
  readonly apply: boolean;
  readonly signal?: AbortSignal;
};

const linesKept = 1_000;

/**
 * What is to be done with a line. `sameTokens`: an earlier line of this file had the same tokens for the same Zoom user,
 * so that the main app used them for both members.
 */
async function decide(
  db: Database | Transaction<DB>,
  clientId: string,
  line: ImportLine,
  sameTokens: boolean,
): Promise<Decision> {
  const { rows } = await sql<{
    member: boolean;
    own: string | null;
    ownGrant: string | null;
    grantId: string | null;
    grantState: string | null;
    deadReason: string | null;
    samePerson: boolean;
  }>`
    select m.id is not null as member, p.state as own, p.grant_id as "ownGrant", g.id as "grantId", g.state as "grantState", g.dead_reason as "deadReason",
           coalesce(steward.address_key(m.email) = steward.address_key(g.zoom_user_email), false)
             or exists (select from steward.personal_connections o join steward_app.members held on held.id = o.member_id
                         where o.grant_id = g.id and steward.address_key(held.email) = steward.address_key(m.email)) as "samePerson"
      from (select 1) one
      left join steward_app.members m on m.id = ${line.memberId} and m.active
      left join steward.personal_connections p on p.member_id = m.id and p.organization_id = m.organization_id
                                              and p.state in ('active', 'suspect', 'broken')
      left join steward.grants g on g.client_id = ${clientId} and g.zoom_account_id = ${line.zoomAccountId}
                                and g.zoom_user_id = ${line.zoomUserId} and g.state <> 'gone'`.execute(db);
  const found = rows[0];
  if (!found?.member) return { kind: 'refused', why: 'no_active_member' };
  // What an earlier file had wrong, this one may have right.
  const again = found.deadReason === ('import_refused' satisfies DeadReason);
  if (again && (found.own === null || found.ownGrant === found.grantId)) return { kind: 'new' };
  if (found.grantId !== null && found.ownGrant === found.grantId) return { kind: 'done_before' };
  if (found.own !== null) return { kind: 'refused', why: 'has_own' };
  if (found.grantId === null) return { kind: 'new' };
  if (found.grantState !== 'living' && found.grantState !== 'suspect') return { kind: 'refused', why: 'grant_ended' };
  if (!sameTokens && !found.samePerson) return { kind: 'refused', why: 'other_person' };
  return { kind: 'joins', grantId: found.grantId };
}

/** Takes one line over in one transaction, decided once more under the locks. */
async function take(
  trx: Transaction<DB>,
  line: ImportLine,
  sameTokens: boolean,
  options: ImportOptions,
): Promise<Decision> {
  const { clientId, vault, api, actor } = options;
  const { memberId, zoomAccountId, zoomUserId } = line;
  await lockPersonal(trx, memberId);
  await lockZoomAccount(trx, clientId, zoomAccountId);
  const decision = await decide(trx, clientId, line, sameTokens);
  if (decision.kind === 'joins') await activatePersonal(trx, { memberId, grantId: decision.grantId, actor });
  if (decision.kind !== 'new') return decision;
  const { grantId } = await fileGrant(trx, vault, {
    ...{
      client: { kind: 'personal', clientId },
      zoomAccountId,
      zoomUserId,
      zoomUserEmail: line.zoomUserEmail ?? null,
      api,
    },
    tokens: {
      ...{ kind: 'tokens', accessToken: line.accessToken ?? new Secret(''), refreshToken: line.refreshToken },
      ...{ scopes: line.scopes ?? null, expiresInS: null, apiUrl: null },
    },
  });
  // Without an access token, or a word about its end, the first call refreshes.
  const accessUntil = line.accessToken === undefined ? null : (line.accessExpiresAt ?? null);
  await sql`
    update steward.grants
       set unproven = true,
           access_expires_at = case when ${accessUntil}::timestamptz is null then steward.now()
                                    else least(${accessUntil}::timestamptz, steward.now() + interval '1 hour') end,
           consented_at = least(coalesce(${line.consentedAt ?? null}::timestamptz, steward.now()), steward.now())
     where id = ${grantId}`.execute(trx);
  await activatePersonal(trx, { memberId, grantId, actor });
  // One cheap call: a pair that the main app had used up, or filed under another person, is found now; a meeting before it asks as well.
  await insertOutbox(trx, { job: 'verify-admin-role', key: grantId, payload: { grantId, probe: true } });
  return decision;
}

/**
 * Takes over members' own Zooms from the main app's store: one JSON object a line. Each line is a transaction, so that
 * an import that was stopped goes on where it was; what was taken over before is left as it is, tokens included – they
 * have moved on. A grant has one refresher: the main app's must have stopped before.
 */
export async function importPersonal(
  db: Database,
  lines: AsyncIterable<string>,
  options: ImportOptions,
): Promise<ImportSummary & { readonly stopped: boolean }> {
  const summary: ImportSummary = { taken: 0, joined: 0, doneBefore: 0, refused: 0, reasons: {}, lines: [] };
  const members = new Set<string>();
  const users = new Map<string, string>();
  const tokens = new Map<string, string>();
  const refuse = (line: number, problem: string): void => {
    summary.refused += 1;
    const reason = problem.startsWith('not as documented') ? 'not as documented' : problem;
    summary.reasons[reason] = (summary.reasons[reason] ?? 0) + 1;
    if (summary.lines.length < linesKept) summary.lines.push({ line, problem });
  };
  let at = 0;
  for await (const text of lines) {
    if (options.signal?.aborted) return { ...summary, stopped: true };
    at += 1;
    if (text.trim() === '') continue;
    const line = readImportLine(text);
    if (typeof line === 'string') {
      refuse(at, line);
      continue;
    }
    const [user, fingerprint] = [userOf(line), fingerprintOf(line)];
    if (members.has(line.memberId)) refuse(at, 'member_twice' satisfies ImportRefusal);
    else if ((users.get(user) ?? fingerprint) !== fingerprint) refuse(at, 'zoom_user_twice' satisfies ImportRefusal);
    else if ((tokens.get(fingerprint) ?? user) !== user) refuse(at, 'tokens_twice' satisfies ImportRefusal);
    else {
      const decision = options.apply
        ? await db.transaction().execute((trx) => take(trx, line, users.has(user), options))
        : await decide(db, options.clientId, line, users.has(user));
      if (decision.kind === 'refused') refuse(at, decision.why);
      else if (decision.kind === 'done_before') summary.doneBefore += 1;
      else if (decision.kind === 'joins' || users.has(user)) summary.joined += 1;
      else summary.taken += 1;
      members.add(line.memberId);
      users.set(user, fingerprint);
      tokens.set(fingerprint, user);
    }
  }
  return { ...summary, stopped: false };
}
