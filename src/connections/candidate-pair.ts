import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Vault } from '../grants/vault.ts';
import type { Secret } from '../secret.ts';
import type { TokenAnswer } from '../zoom/oauth.ts';
import type { ConnectionDeps } from './connection-deps.ts';

/** Tokens of a candidate that nobody was named for yet. */
export type CandidatePair = { readonly accessToken: Secret; readonly refreshToken: Secret | null };

/** What came with them, and is no secret. */
export type TokenFacts = {
  readonly scopes: readonly string[] | null;
  readonly expiresInS: number | null;
  readonly apiUrl: string | null;
};

type Tokens = Extract<TokenAnswer, { kind: 'tokens' }>;
type Place = {
  readonly vault: Vault;
  readonly client: { readonly clientId: string };
  /** whose row it is; an organization's candidate unless said */
  readonly table?: 'candidates' | 'personal_consents';
};

const placeOf = ({ client, table = 'candidates' }: Place, id: string) =>
  ({ table, id, clientId: client.clientId, version: 1 }) as const;

/** The pair as a candidate's row holds it. */
export function sealPair(
  deps: Place,
  candidateId: string,
  tokens: CandidatePair,
): { access: string; refresh: string | null } {
  const place = placeOf(deps, candidateId);
  return {
    access: deps.vault.seal(tokens.accessToken, { ...place, column: 'sealed_access' }),
    refresh: tokens.refreshToken && deps.vault.seal(tokens.refreshToken, { ...place, column: 'sealed_refresh' }),
  };
}

/** The pair of a candidate's row; null if our keys do not open it. */
export function openPair(
  deps: Place,
  row: { readonly id: string; readonly sealed_access: string | null; readonly sealed_refresh: string | null },
): CandidatePair | null {
  const place = placeOf(deps, row.id);
  const access = deps.vault.open(row.sealed_access ?? '', { ...place, column: 'sealed_access' });
  if (!access.ok) return null;
  if (row.sealed_refresh === null) return { accessToken: access.secret, refreshToken: null };
  const refresh = deps.vault.open(row.sealed_refresh, { ...place, column: 'sealed_refresh' });
  return refresh.ok ? { accessToken: access.secret, refreshToken: refresh.secret } : null;
}

/**
 * Whether the refresh token of a row is being exchanged, or was: then the pair in the row is spent, and what came for
 * it will be there instead.
 */
export const isBeingRenewed = (row: {
  readonly sealed_refresh: string | null;
  readonly token_facts: unknown;
}): boolean =>
  row.sealed_refresh !== null &&
  (row.token_facts as { readonly sent?: string } | null)?.sent ===
    createHash('md5').update(row.sealed_refresh).digest('hex');

/** What is kept in the clear beside a sealed pair. */
export const factsOf = ({ scopes, expiresInS, apiUrl }: Tokens): TokenFacts => ({ scopes, expiresInS, apiUrl });

/**
 * Exchanges the refresh token of a pair that nobody was named for, because Zoom refuses its access token. Each
 * refresh token is sent once, ever: the claim is committed before the request leaves, and what comes back is
 * committed before anything else happens. A lost answer leaves the candidate to expire.
 * @returns whether there is a new pair
 */
export async function renewCandidatePair(
  deps: Pick<ConnectionDeps, 'db' | 'vault' | 'client' | 'oauth' | 'grants'>,
  row: { readonly id: string; readonly sealed_refresh: string | null },
  pair: CandidatePair,
): Promise<boolean> {
  if (pair.refreshToken === null || row.sealed_refresh === null) return false;
  const claimed = await sql`
    update steward.candidates set token_facts = token_facts || jsonb_build_object('sent', md5(sealed_refresh))
     where id = ${row.id} and sealed_refresh = ${row.sealed_refresh}
       and token_facts ->> 'sent' is distinct from md5(sealed_refresh)`.execute(deps.db);
  if (claimed.numAffectedRows !== 1n) return false;
  for (const secret of deps.client.secrets) {
    const answer = await deps.oauth.refresh(deps.client, secret, pair.refreshToken);
    if (answer.kind === 'application') continue;
    if (answer.kind !== 'tokens') return false;
    const sealed = sealPair(deps, row.id, answer);
    await deps.grants.keep(row.id, () =>
      deps.db.transaction().execute(async (trx) => {
        await sql`set local synchronous_commit = on`.execute(trx);
        await sql`
          update steward.candidates
             set sealed_access = ${sealed.access}, sealed_refresh = ${sealed.refresh}, token_facts = ${JSON.stringify(factsOf(answer))}::jsonb
           where id = ${row.id} and sealed_refresh = ${row.sealed_refresh}`.execute(trx);
      }),
    );
    return true;
  }
  return false;
}
