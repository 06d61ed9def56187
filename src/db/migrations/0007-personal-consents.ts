import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { createTable, type TableSpec } from './table.ts';

const table: TableSpec = {
  name: 'steward.personal_consents',
  comment: "A member's consent for a Zoom of their own, from the link that the main app asks for to its end.",
  columns: {
    id: ['uuid primary key', 'Id of the consent; not the secret.'],
    organization_id: ['uuid not null', 'Organization of the member.'],
    member_id: ['uuid not null', 'The member.'],
    token_hash: ['bytea not null unique', 'SHA-256 of the 256 random bits in its address.'],
    state: [
      `text not null default 'open' check (state in ('open', 'started', 'returned', 'exchanged', 'asking', 'done', 'denied', 'failed', 'expired', 'void'))`,
      'asking: the Zoom user has another address than the member, who must say that it is theirs.',
    ],
    attempts: ['smallint not null default 0 check (attempts between 0 and 10)', 'How often the button was pressed.'],
    state_hash: ['bytea unique', 'SHA-256 of the OAuth state parameter of the last press.'],
    browser_hash: ['bytea', 'SHA-256 of the cookie that binds it to a browser.'],
    sealed_verifier: ['text', 'PKCE verifier, sealed; gone once used.'],
    client_id: ['text not null', 'Client id of the personal app.'],
    sealed_access: ['text', 'Access token while Zoom does not say whose it is, sealed.'],
    sealed_refresh: ['text', 'Refresh token until then, sealed.'],
    token_facts: ['jsonb', 'Scopes, expiry and API base until then; never a token.'],
    grant_id: ['uuid references steward.grants (id)', 'The grant it was filed under.'],
    zoom_user_email: ['text', 'Address of the Zoom user who consented.'],
    outcome: ['text', 'What happened, for the page: a code, never a secret.'],
    expires_at: ['timestamptz not null', 'End of the state it is in.'],
    created_at: ['timestamptz not null', 'When the main app asked for it.'],
    ended_at: ['timestamptz', 'When it ended.'],
  },
  indexes: [
    `create index personal_consents_open on steward.personal_consents (expires_at) where state in ('open', 'started', 'returned', 'exchanged', 'asking') or sealed_access is not null`,
    'create index personal_consents_member on steward.personal_consents (member_id)',
    'create index personal_consents_grant on steward.personal_consents (grant_id)',
  ],
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of createTable(table)) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table steward.personal_consents cascade`.execute(db);
}
