import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { ApiError } from './api-error.ts';

/** What a service key may do (lifecycle §6). */
export const capabilities = [
  'facts:write',
  'connections:read',
  'meetings:write',
  'act-as',
  'audit:read',
  'credentials:raw',
  'events:take',
] as const;
export type Capability = (typeof capabilities)[number];

export type ServiceKey = {
  readonly id: string;
  readonly capabilities: readonly string[];
  readonly organizationId: string | null;
};

const hash = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Makes a service key. The text is given once; the database keeps its SHA-256. */
export async function createServiceKey(
  db: Database,
  input: { name: string; capabilities: readonly Capability[]; organizationId?: string },
): Promise<{ id: string; key: string }> {
  const key = `zsk_${randomBytes(32).toString('base64url')}`;
  const id = randomUUID();
  await db
    .insertInto('steward.api_keys')
    .values({
      id,
      name: input.name,
      key_hash: hash(key),
      capabilities: [...input.capabilities],
      organization_id: input.organizationId ?? null,
    })
    .execute();
  return { id, key };
}

/** The key behind an Authorization header, or a refusal that does not say which part was wrong. */
export async function authenticate(db: Database, authorization: string | undefined): Promise<ServiceKey> {
  const key = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
  const row =
    key &&
    (await db
      .selectFrom('steward.api_keys')
      .select(['id', 'capabilities', 'organization_id'])
      .where('key_hash', '=', hash(key))
      .where('revoked_at', 'is', null)
      .executeTakeFirst());
  if (!row)
    throw new ApiError(
      401,
      'unauthorized',
      'Expected a valid service key as "Authorization: Bearer …"; make one with the command "service-key"',
    );
  return { id: row.id, capabilities: row.capabilities, organizationId: row.organization_id };
}

/** Refuses a key that lacks the capability or belongs to another organization. */
export function authorize(key: ServiceKey, capability: Capability, organizationId: string): void {
  if (!key.capabilities.includes(capability)) {
    throw new ApiError(
      403,
      'capability_missing',
      `Expected a service key with the capability ${capability}; this one has ${key.capabilities.join(', ') || 'none'}`,
    );
  }
  if (key.organizationId !== null && key.organizationId !== organizationId) {
    throw new ApiError(403, 'other_organization', 'This service key is bound to another organization');
  }
}

/** Forgets the ids of claims that could not be accepted any more. */
export async function pruneUsedClaims(db: Database): Promise<void> {
  await sql`delete from steward.used_claims where expires_at < steward.now()`.execute(db);
}
