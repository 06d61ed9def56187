import { sql, type Transaction } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { DB } from '../../db/schema.ts';
import { StewardError } from '../../errors.ts';
import { publicMailDomains } from './public-mail-domains.ts';

/** Two domains as address keys have them, the smaller first. */
export type DomainPair = { readonly domain: string; readonly sameAs: string };

export type StoredEquivalence = DomainPair & {
  readonly actor: string;
  readonly createdAt: Date;
  /** members who host by it */
  readonly members: number;
};

const hostName = /^(?=.{4,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}$/;

/** Pairs of an organization, in their order. */
export async function listEquivalences(db: Database, organizationId: string): Promise<StoredEquivalence[]> {
  const { rows } = await sql<StoredEquivalence>`
    select e.domain, e.same_as as "sameAs", e.actor, e.created_at as "createdAt",
           (select count(*) from steward.zoom_user_mappings z
             where z.organization_id = e.organization_id and z.domain = e.domain and z.same_as = e.same_as) as members
      from steward.domain_equivalences e where e.organization_id = ${organizationId}
     order by e.domain, e.same_as`.execute(db);
  return rows;
}

/** The pair as it is stored, from how people write domains; refuses what is none, twice the same, and public mail providers. */
export async function readPair(
  db: Database | Transaction<DB>,
  written: { readonly domain: string; readonly sameAs: string },
): Promise<DomainPair> {
  const given = [written.domain, written.sameAs].map((text) => text.trim().replace(/^@/, '').replace(/\.$/, ''));
  const { rows } = await sql<{ key: string | null }>`
    select steward.domain_key(d.domain) as key from unnest(${given}::text[]) with ordinality as d (domain, place) order by place`.execute(
    db,
  );
  const [first, second] = rows.map(({ key }, at) => {
    if (key !== null && hostName.test(key)) return key;
    throw new StewardError('domain_invalid', `Expected a domain like northwind.example, got "${given[at]}".`);
  }) as [string, string];
  if (first === second)
    throw new StewardError(
      'domain_same',
      `Expected two domains, got ${first} twice; addresses at one domain are one person's anyway.`,
    );
  for (const domain of [first, second])
    if (publicMailDomains.has(domain))
      throw new StewardError(
        'domain_public',
        `${domain} is a public mail provider: the same name there may be anybody. Map these people singly.`,
      );
  // As the database compares them, whatever its locale: these are ASCII.
  return first < second ? { domain: first, sameAs: second } : { domain: second, sameAs: first };
}

/** Refuses a domain that is neither a verified one of the organization nor one at which the Zoom account has a user we know. */
export async function assertKnown(
  trx: Transaction<DB>,
  { organizationId, zoomAccountId, pair }: { organizationId: string; zoomAccountId: string; pair: DomainPair },
): Promise<void> {
  const { rows } = await sql<{ domain: string }>`
    select d.domain from unnest(${[pair.domain, pair.sameAs]}::text[]) as d (domain)
     where not exists (select from steward_app.organizations o, unnest(o.verified_domains) as v (domain)
                        where o.id = ${organizationId} and steward.domain_key(v.domain) = d.domain)
       and not exists (select from steward.directory_users u
                        where u.zoom_account_id = ${zoomAccountId} and split_part(u.address_key, '@', -1) = d.domain)`.execute(
    trx,
  );
  const [unknown] = rows;
  if (unknown)
    throw new StewardError(
      'domain_unknown',
      `Expected verified domains of the organization, or domains at which its Zoom account has users; ${unknown.domain} is neither. Check the spelling, verify it, or map people singly.`,
      { context: { organizationId, domain: unknown.domain } },
    );
}
