import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { expect } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import type { GrantEvent } from '../../src/grants/grant-events.ts';
import { type FiledGrant, fileGrant, type Tokens } from '../../src/grants/grant-repository.ts';
import { createGrants, type Grants, type GrantsDeps } from '../../src/grants/grants.ts';
import { createVault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { secretMark } from '../../src/simulator/secret-mark.ts';
import type { ZoomClient } from '../../src/zoom/oauth.ts';
import { createScriptedZoom, tokens } from './scripted-zoom.ts';

export const newKey = (id: string) => ({ id, key: new Secret(randomBytes(32).toString('base64')) });

export const testKey = newKey('k1');

export const testVault = createVault({ keys: [testKey], activeKeyId: testKey.id });

export const adminClient: ZoomClient = {
  kind: 'admin',
  clientId: 'admin_app',
  secrets: [new Secret(`secret-${secretMark}`)],
  redirectUri: 'https://steward.test/callback',
};

export const api = {
  apiBase: 'https://api.zoom.us',
  trustedApiBase: (url: string) => /^https:\/\/api(-[a-z]{2})?\.zoom\.us\/?$/.test(url),
};

let made = 0;

/** Files a grant of a new Zoom user, by default with an access token that has ended. */
export async function fileOne(
  db: Database,
  said: { account?: string; user?: string; tokens?: Partial<Tokens>; fresh?: boolean; client?: ZoomClient } = {},
): Promise<FiledGrant & { readonly family: string }> {
  made += 1;
  const user = said.user ?? `u${made}`;
  // In the tokens, and so known wherever one gets out.
  const family = `${secretMark}${made}`;
  const filed = await db.transaction().execute((trx) =>
    fileGrant(trx, testVault, {
      client: said.client ?? adminClient,
      zoomAccountId: said.account ?? `account-${made}`,
      zoomUserId: user,
      zoomUserEmail: null,
      tokens: tokens(`${family}-0`, said.tokens),
      api,
    }),
  );
  if (!said.fresh) await endAccessToken(db, filed.grantId);
  return { ...filed, family };
}

/** The access token's hour is over. */
export async function endAccessToken(db: Database, grantId: string): Promise<void> {
  await sql`update steward.grants set access_expires_at = steward.now() - interval '1 second' where id = ${grantId}`.execute(
    db,
  );
}

/** Moves the one clock of the database forward. */
export async function advanceClock(db: Database, ms: number): Promise<void> {
  await sql`update steward.clock set offset_by = offset_by + ${ms} * interval '1 millisecond'`.execute(db);
}

/** The row as it is now. */
export async function grantRow(db: Database, grantId: string) {
  return await db.selectFrom('steward.grants').selectAll().where('id', '=', grantId).executeTakeFirstOrThrow();
}

/** How the attempts of a grant ended, oldest first. */
export async function outcomes(db: Database, grantId: string): Promise<(string | null)[]> {
  const rows = await db
    .selectFrom('steward.refresh_attempts')
    .select('outcome')
    .where('grant_id', '=', grantId)
    .orderBy('started_at')
    .orderBy('id')
    .execute();
  return rows.map((row) => row.outcome);
}

/** Grants against a scripted token endpoint, with what they told. */
export function playGrants(
  db: Database,
  said: Partial<GrantsDeps> = {},
  zoom = createScriptedZoom(),
): { grants: Grants; zoom: ReturnType<typeof createScriptedZoom>; events: GrantEvent[] } {
  const events: GrantEvent[] = [];
  const grants = createGrants({
    db,
    oauth: zoom.oauth,
    clients: [adminClient],
    vault: testVault,
    api,
    holder: 'test',
    pacedEveryMs: 0,
    onEvent: (event) => events.push(event),
    ...said,
    times: { pollMs: 20, ...said.times },
  });
  return { grants, zoom, events };
}

/** `expect.poll` that is patient with a busy machine. */
export const soon = <T>(read: () => T) => expect.poll(read, { timeout: 15_000, interval: 10 });
