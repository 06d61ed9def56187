import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';

/** Who asks: a member, whose role is read from their row, or an operator, who must say why. */
export type Asker = { readonly memberId: string } | { readonly operator: string; readonly reason: string };

/** The asker as audit entries and runs name them. */
export function actorOf(asker: Asker): Actor {
  return 'memberId' in asker ? `member:${asker.memberId}` : `operator:${asker.operator}`;
}

/** Whether the member is, in this instant, an active owner or admin of the organization (by their row, no claim). */
export async function mayManage(
  db: Database | Transaction<DB>,
  organizationId: string,
  memberId: string,
): Promise<boolean> {
  const row = await db
    .selectFrom('steward_app.members')
    .select('id')
    .where('id', '=', memberId)
    .where('organization_id', '=', organizationId)
    .where('active', '=', true)
    .where('role', 'in', ['owner', 'admin'])
    .executeTakeFirst();
  return row !== undefined;
}

/** Refuses everybody but owners and admins of the organization, and operators with a reason. */
export async function assertMayManage(trx: Transaction<DB>, organizationId: string, asker: Asker): Promise<void> {
  if ('operator' in asker) {
    if (asker.operator.trim() !== '' && asker.reason.trim() !== '') return;
    throw new StewardError('reason_missing', 'Expected an operator with a reason, got none; say why and try again.');
  }
  if (await mayManage(trx, organizationId, asker.memberId)) return;
  throw new StewardError(
    'forbidden',
    'Expected an owner or admin of the organization, got somebody else; ask an owner to do it.',
    { context: { organizationId, memberId: asker.memberId } },
  );
}

/** Refuses everybody but owners of the organization, and operators with a reason (lifecycle §6: mappings). */
export async function assertIsOwner(trx: Transaction<DB>, organizationId: string, asker: Asker): Promise<void> {
  await assertMayManage(trx, organizationId, asker);
  if ('operator' in asker) return;
  const row = await trx
    .selectFrom('steward_app.members')
    .select('role')
    .where('id', '=', asker.memberId)
    .where('organization_id', '=', organizationId)
    .executeTakeFirst();
  if (row?.role === 'owner') return;
  throw new StewardError('owner_only', 'Expected an owner of the organization, got an admin; ask an owner to do it.', {
    context: { organizationId, memberId: asker.memberId },
  });
}

export type LiveOrganization = {
  readonly id: string;
  readonly name: string;
  readonly timeZone: string;
  readonly verifiedDomains: readonly string[];
};

/** The organization, if it exists, is not deleted, and its plan includes Zoom; refuses otherwise. */
export async function getLiveOrganization(
  db: Database | Transaction<DB>,
  organizationId: string,
): Promise<LiveOrganization> {
  const row = await db
    .selectFrom('steward_app.organizations')
    .select(['id', 'name', 'time_zone', 'verified_domains', 'plan_includes_zoom'])
    .where('id', '=', organizationId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (!row) {
    throw new StewardError(
      'organization_not_found',
      'Expected an organization of the main app, found none; check the id.',
      {
        context: { organizationId },
      },
    );
  }
  if (!row.plan_includes_zoom) {
    throw new StewardError(
      'plan_without_zoom',
      "The organization's plan does not include Zoom; change the plan first.",
      {
        context: { organizationId },
      },
    );
  }
  return { id: row.id, name: row.name, timeZone: row.time_zone, verifiedDomains: row.verified_domains };
}

/** Refuses what was confirmed with another name than the organization's; one that is gone from the main app has none. */
export async function assertTypedName(trx: Transaction<DB>, organizationId: string, typed: string): Promise<void> {
  const organization = await trx
    .selectFrom('steward_app.organizations')
    .select('name')
    .where('id', '=', organizationId)
    .executeTakeFirst();
  if (!organization || organization.name.normalize('NFC').trim() === typed.normalize('NFC').trim()) return;
  throw new StewardError(
    'name_mismatch',
    "Expected the organization's name, got something else; type it exactly to confirm.",
  );
}

/** Locks the connection's row. Everything that changes links, attempts or candidates takes this lock first. */
export async function lockConnection(trx: Transaction<DB>, connectionId: string) {
  const row = await trx
    .selectFrom('steward.org_connections')
    .selectAll()
    .where('id', '=', connectionId)
    .forUpdate()
    .executeTakeFirst();
  if (row) return row;
  throw new StewardError('connection_not_found', 'Expected an org connection, found none; check the id.', {
    context: { connectionId },
  });
}

/** The oldest active owner (else admin): to whom a link passes when its issuer loses the right to it. */
export async function findHeir(trx: Transaction<DB>, organizationId: string): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    select id from steward_app.members
     where organization_id = ${organizationId} and active and role in ('owner', 'admin')
     order by (role = 'owner') desc, created_at, id limit 1`.execute(trx);
  return rows[0]?.id ?? null;
}
