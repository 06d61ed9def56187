import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { createServices, type Services } from '../../src/compose.ts';
import { parseConfig } from '../../src/config.ts';
import { advanceCandidate } from '../../src/connections/advance-candidate.ts';
import { beginAttempt } from '../../src/connections/attempts.ts';
import { finishAttempt } from '../../src/connections/finish-attempt.ts';
import { createConnectLink } from '../../src/connections/links.ts';
import { findDirectoryGrant } from '../../src/connections/sync-directory.ts';
import { createLogger } from '../../src/logger.ts';
import type { RemoteControl } from '../../src/simulator/control-client.ts';
import type { Simulator } from '../../src/simulator/start-simulator.ts';
import type { AccountSpec, AppSpec } from '../../src/simulator/world.ts';

/** Seven licensed, one basic, one inactive, one pending, and again. */
export const cycle = [{}, {}, {}, {}, {}, {}, {}, { type: 1 }, { status: 'inactive' }, { status: 'pending' }] as const;
/** the first so many users are members of ours */
export const matchedMembers = 100;

const clientId = 'walk_app';
const clientSecret = 'walk-secret';

/** An account with so many users in three states, the admin among them, and the app that walks it. */
export function walkAccount({ id, users, ...more }: Pick<AccountSpec, 'id' | 'limits'> & { readonly users: number }): {
  readonly app: AppSpec;
  readonly account: AccountSpec;
} {
  return {
    app: { clientId, secrets: [clientSecret], kind: 'admin', redirectUris: ['*'] },
    account: {
      id,
      plan: 'business',
      ...more,
      users: [{ id: adminOf(id), email: 'admin@walk.example', roleId: '1' }],
      patterns: [{ count: users - 1, id: 'zu_{n}', email: 'u{n}@walk.example', cycle: [...cycle] }],
    },
  };
}

const adminOf = (accountId: string): string => (accountId === 'acc_walk' ? 'zu_admin' : `zu_admin_${accountId}`);

/** The services of a worker at this database and this Zoom. */
export const servicesAt = (databaseUrl: string, zoomUrl: string): Services =>
  createServices(
    parseConfig({
      STEWARD_MODE: 'simulator',
      DATABASE_URL: databaseUrl,
      ZOOM_BASE_URL: zoomUrl,
      ZOOM_ADMIN_CLIENT_ID: clientId,
      ZOOM_ADMIN_CLIENT_SECRETS: clientSecret,
      STEWARD_KEYS: `t:${randomBytes(32).toString('base64')}`,
      STEWARD_PUBLIC_URL: 'http://127.0.0.1:4000',
    }),
    { log: createLogger({ level: 'silent' }) },
  );

/** An organization whose Zoom admin has approved; it waits for the walk. */
export async function connectAccount(
  { db, connections }: Services,
  control: Pick<Simulator['control'] | RemoteControl, 'consent'>,
  account: AccountSpec,
): Promise<string> {
  const organizationId = randomUUID();
  await sql`insert into steward_app.organizations (id, name, verified_domains) values (${organizationId}, 'Walk', '{walk.example}')`.execute(
    db,
  );
  await sql`
    insert into steward_app.members (id, organization_id, name, email, email_verified, role)
    select gen_random_uuid(), ${organizationId}, 'M', 'u' || n || '@walk.example', true, case n when 0 then 'owner' else 'user' end
      from generate_series(0, ${matchedMembers - 1}::int) n`.execute(db);
  const owner = await db
    .selectFrom('steward_app.members')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('role', '=', 'owner')
    .executeTakeFirstOrThrow();
  const { token } = await createConnectLink(db, { organizationId, asker: { memberId: owner.id } });
  const begun = await beginAttempt(connections, { token, sessionMemberId: null });
  if (begun.kind !== 'begun') throw new Error(`the link was refused: ${begun.why}`);
  const { authorizeUrl, browser } = begun;
  const consented = await control.consent({ authorizeUrl, user: adminOf(account.id) });
  if (consented.kind !== 'redirected') throw new Error(consented.why);
  const params = new URL(consented.location).searchParams;
  const finished = await finishAttempt(connections, { params, browser });
  if (finished.kind !== 'exchanged') throw new Error(`the consent came to ${finished.kind}`);
  await advanceCandidate(connections, finished.candidateId);
  const grantId = await findDirectoryGrant(db, account.id);
  if (grantId === null) throw new Error('nothing can read the directory');
  return grantId;
}
