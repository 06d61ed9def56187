import { createHmac, timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import { z } from 'zod';
import type { Database } from '../db/database.ts';
import type { Secret } from '../secret.ts';
import { ApiError } from './api-error.ts';

const longestLifetimeSeconds = 60;
const clockSkewSeconds = 5;

const header = z.strictObject({ alg: z.literal('HS256'), typ: z.literal('JWT') });
const body = z.strictObject({
  aud: z.literal('zoom-steward'),
  sub: z.guid(),
  org: z.guid(),
  jti: z.string().min(16).max(64),
  iat: z.int(),
  exp: z.int(),
});

export type ActingMember = {
  readonly organizationId: string;
  readonly memberId: string;
  readonly role: 'owner' | 'admin' | 'user';
};

const refuse = (why: string): ApiError =>
  new ApiError(
    401,
    'claim_refused',
    `The member claim was refused: ${why}; sign a new one for each request (createSteward does)`,
  );

const decode = (part: string): unknown => {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
};

/**
 * The member who acts, from a claim signed by the main app (JWS HS256, at most 60 seconds, accepted once).
 * Path, claim and the member's row must agree; the role is the row's.
 */
export async function verifyMemberClaim(
  db: Database,
  secret: Secret,
  claim: string | undefined,
  organizationId: string,
): Promise<ActingMember> {
  const parts = (claim ?? '').split('.');
  const [rawHeader = '', rawBody = '', signature = ''] = parts;
  if (parts.length !== 3) throw refuse('expected three parts in the header Steward-Claim');
  const expected = createHmac('sha256', secret.reveal()).update(`${rawHeader}.${rawBody}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw refuse('its signature does not fit');
  const parsed = body.safeParse(decode(rawBody));
  if (!header.safeParse(decode(rawHeader)).success || !parsed.success) throw refuse('its fields are not as documented');
  const { sub, org, jti, iat, exp } = parsed.data;
  if (org !== organizationId) throw refuse('it names another organization than the path');
  if (exp - iat > longestLifetimeSeconds) throw refuse(`it lives longer than ${longestLifetimeSeconds} seconds`);
  const { rows } = await sql<{ fresh: boolean; first: boolean; role: ActingMember['role'] | null }>`
    with used as (
      insert into steward.used_claims (id, expires_at) values (${jti}, to_timestamp(${exp}) + interval '1 minute')
      on conflict do nothing returning 1)
    select now() between to_timestamp(${iat}) - ${clockSkewSeconds} * interval '1 second' and to_timestamp(${exp}) + ${clockSkewSeconds} * interval '1 second' as fresh,
           exists (select from used) as first,
           (select role from steward_app.members where id = ${sub} and organization_id = ${org} and active) as role`.execute(
    db,
  );
  const row = rows[0];
  if (!row?.fresh) throw refuse('it is expired or not valid yet');
  if (!row.first) throw refuse('it was used before');
  if (!row.role) throw refuse('there is no such active member in the organization');
  return { organizationId, memberId: sub, role: row.role };
}

/** Refuses whoever is neither owner nor admin. */
export function requireOwnerOrAdmin(member: ActingMember): void {
  if (member.role === 'user')
    throw new ApiError(403, 'not_an_admin', 'Expected an owner or admin of the organization; this member is a user');
}
