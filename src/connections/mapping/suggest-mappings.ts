import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { AddressForms } from '../address-forms.ts';
import { publicMailDomains } from './public-mail-domains.ts';
import { getMappedAccount } from './weigh-mappings.ts';

/** Domains that are tried for each member, at most: those at which most of the account's known users are. */
const domainsTried = 20;
const suggestionsAPage = 500;

/** A Zoom user who may be this member: same local part, another domain. */
export type Suggestion = {
  /** null while pending: cannot be mapped yet */
  readonly zoomUserId: string | null;
  readonly zoomUserEmail: string;
  readonly status: 'active' | 'inactive' | 'pending';
};

export type SuggestedMember = {
  readonly memberId: string;
  readonly memberEmail: string;
  readonly suggestions: readonly Suggestion[];
};

export type Suggestions = {
  readonly members: readonly SuggestedMember[];
  /** pairs of domains in this page, the most frequent first: candidates for an equivalence */
  readonly domains: readonly { readonly domain: string; readonly sameAs: string; readonly members: number }[];
  /** members without a Zoom user who were looked at */
  readonly looked: number;
  /** where to go on; null at the end */
  readonly next: string | null;
};

type Asked = { readonly memberId: string; readonly email: string; readonly local: string; readonly domain: string };

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);

/** Domains worth a try: the organization's verified ones, then those of users of the account whose address is known. */
async function listDomains(db: Database, organizationId: string, zoomAccountId: string): Promise<string[]> {
  const { rows } = await sql<{ domain: string }>`
    select d.domain from (
      select steward.domain_key(v.domain) as domain, null::bigint as users
        from steward_app.organizations o, unnest(o.verified_domains) as v (domain) where o.id = ${organizationId}
       union all
      select split_part(u.address_key, '@', -1), count(*) from steward.directory_users u
       where u.zoom_account_id = ${zoomAccountId} and strpos(u.address_key, '@') > 0
       group by 1) d
     group by d.domain order by bool_or(d.users is null) desc, max(d.users) desc nulls last, d.domain`.execute(db);
  return rows
    .map(({ domain }) => domain)
    .filter((domain) => !publicMailDomains.has(domain))
    .slice(0, domainsTried);
}

/** Active members that have no Zoom user, by what is stored, after one of them. */
async function listUnmatched(db: Database, organizationId: string, after: string | null): Promise<Asked[]> {
  const { rows } = await sql<Asked>`
    select f.member_id as "memberId", f.address_key as email, d.domain,
           left(f.address_key, -char_length(d.domain)) as local
      from steward.member_facts f, lateral (select split_part(f.address_key, '@', -1) as domain) d
     where f.organization_id = ${organizationId} and f.match = 'none' and f.active
       and (${after}::uuid is null or f.member_id > ${after}::uuid) and strpos(f.address_key, '@') > 0
     order by f.member_id limit ${suggestionsAPage}`.execute(db);
  return rows;
}

/**
 * Likely pairs for members without a Zoom user: Zoom users who are nobody's, with the same local part at another domain
 * that is known here (docs/directory.md). 500 members at a time. Reads only: a suggestion becomes a mapping by
 * `importMappings`, and by nothing else.
 */
export async function suggestMappings(
  db: Database,
  { organizationId, forms, after = null }: { organizationId: string; forms: AddressForms; after?: string | null },
): Promise<Suggestions> {
  const { zoomAccountId } = await getMappedAccount(db, organizationId);
  const [domains, asked] = [
    await listDomains(db, organizationId, zoomAccountId),
    await listUnmatched(db, organizationId, after),
  ];
  const tried = asked.flatMap(({ local, domain }, at) =>
    domains
      .filter((other) => other !== domain)
      .flatMap((other) => forms(`${local}${other}`).map((form) => ({ at, form, address: `${local}${other}` }))),
  );
  const { rows } = await sql<Suggestion & { at: number }>`
    select distinct t.at, u.zoom_user_id as "zoomUserId", t.address as "zoomUserEmail", u.status
      from unnest(${tried.map(({ at }) => at)}::int[], ${tried.map(({ form }) => form)}::text[],
                  ${tried.map(({ address }) => address)}::text[]) as t (at, form, address)
      join steward.directory_users u on u.zoom_account_id = ${zoomAccountId} and u.address_key = t.form
     where not exists (select from steward.zoom_user_mappings z
                        where z.organization_id = ${organizationId} and z.zoom_account_id = ${zoomAccountId} and z.zoom_user_id = u.zoom_user_id)
       and not exists (select from steward.member_facts f
                        where f.organization_id = ${organizationId} and f.zoom_user_key = u.user_key and f.match = 'email' and f.active)
     order by t.at, "zoomUserEmail", "zoomUserId"`.execute(db);
  const pairs = new Map<string, { domain: string; sameAs: string; members: number }>();
  const members = asked.flatMap(({ memberId, email, domain }, at): SuggestedMember[] => {
    const suggestions = rows.filter((row) => row.at === at).map(({ at: _, ...suggestion }) => suggestion);
    for (const sameAs of new Set(suggestions.map(({ zoomUserEmail }) => domainOf(zoomUserEmail)))) {
      const key = `${domain} ${sameAs}`;
      pairs.set(key, { domain, sameAs, members: (pairs.get(key)?.members ?? 0) + 1 });
    }
    return suggestions.length === 0 ? [] : [{ memberId, memberEmail: email, suggestions }];
  });
  return {
    members,
    domains: [...pairs.values()].sort((a, b) => b.members - a.members),
    looked: asked.length,
    next: asked.length === suggestionsAPage ? (asked.at(-1)?.memberId ?? null) : null,
  };
}
