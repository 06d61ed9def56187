import { sql, type Transaction } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { DB } from '../../db/schema.ts';
import { StewardError } from '../../errors.ts';
import type { AddressForms } from '../address-forms.ts';
import type { MappingWish } from './read-csv.ts';

/** Why a wish cannot be done. */
export type MappingProblem =
  | 'unknown_member'
  | 'ambiguous_member'
  | 'member_twice'
  | 'unknown_zoom_user'
  | 'ambiguous_zoom_user'
  | 'pending_zoom_user'
  | 'zoom_user_twice'
  | 'zoom_user_taken';

/** What a wish comes to. */
export type MappingEffect = 'new' | 'moved' | 'ended' | 'unchanged';

export type WeighedMapping = {
  readonly line: number;
  readonly member: string;
  readonly zoomUser: string | null;
  readonly memberId: string | null;
  readonly zoomUserId: string | null;
  /** Zoom user id of the mapping there is */
  readonly before: string | null;
} & (
  | { readonly problem: MappingProblem; readonly effect: null }
  | { readonly problem: null; readonly effect: MappingEffect }
);

/** The Zoom account whose users members of an organization are mapped to; refuses where there is none. */
export async function getMappedAccount(db: Database | Transaction<DB>, organizationId: string) {
  const row = await db
    .selectFrom('steward.org_connections')
    .select(['id', 'zoom_account_id', 'state'])
    .where('organization_id', '=', organizationId)
    .where('state', 'in', ['active', 'interrupted'])
    .executeTakeFirst();
  if (row?.zoom_account_id) return { connectionId: row.id, zoomAccountId: row.zoom_account_id };
  throw new StewardError(
    'not_connected',
    'Expected an organization that is connected to a Zoom account: mappings name its users. Connect it first.',
    { context: { organizationId } },
  );
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const isAddress = (text: string): boolean => text.includes('@');

/** Keys of addresses, as the one SQL function computes them; null for none. */
async function addressKeys(
  db: Database | Transaction<DB>,
  addresses: readonly (string | null)[],
): Promise<(string | null)[]> {
  const { rows } = await sql<{ key: string | null }>`
    select steward.address_key(a.address) as key
      from unnest(${[...addresses]}::text[]) with ordinality as a (address, place) order by place`.execute(db);
  return rows.map(({ key }) => key);
}

/**
 * What each wish would come to, by the facts of this moment and with the other wishes in view: a Zoom user is one
 * member's, so one that another member was matched to, or is wished for twice, is refused. Changes nothing.
 */
export async function weighMappings(
  db: Database | Transaction<DB>,
  organizationId: string,
  { wishes, forms }: { readonly wishes: readonly MappingWish[]; readonly forms: AddressForms },
): Promise<WeighedMapping[]> {
  if (wishes.length === 0) return [];
  const { zoomAccountId } = await getMappedAccount(db, organizationId);
  const userAddress = wishes.map(({ zoomUser }) => (zoomUser !== null && isAddress(zoomUser) ? zoomUser : null));
  const userKeys = await addressKeys(db, userAddress);
  const written = userKeys.flatMap((key, at) => (key === null ? [] : forms(key).map((form) => ({ at, form }))));
  const { rows } = await sql<Weighed>`
    with wish as materialized (
      select place, member_id, steward.address_key(member_email) as member_key, zoom_id, ends
        from unnest(${wishes.map(({ member }) => (uuid.test(member) ? member : null))}::uuid[],
                    ${wishes.map(({ member }) => (isAddress(member) ? member : null))}::text[],
                    ${wishes.map(({ zoomUser }) => (zoomUser !== null && !isAddress(zoomUser) ? zoomUser : null))}::text[],
                    ${wishes.map(({ zoomUser }) => zoomUser === null)}::boolean[])
             with ordinality as w (member_id, member_email, zoom_id, ends, place)),
    named as materialized (
      select steward.address_key(email) as key, min(id::text)::uuid as id, count(*) as members
        from steward_app.members
       where organization_id = ${organizationId} and exists (select from wish where member_key is not null)
       group by 1),
    addressed as materialized (
      select form.place + 1 as place, count(distinct u.user_key) as users, min(u.zoom_user_id) as zoom_user_id
        from unnest(${written.map(({ at }) => at)}::int[], ${written.map(({ form }) => form)}::text[]) as form (place, form)
        join steward.directory_users u on u.zoom_account_id = ${zoomAccountId} and u.address_key = form.form
       group by 1),
    found as materialized (
      select w.place, w.ends, coalesce(m.id, n.id) as member_id, coalesce(n.members, (m.id is not null)::int) as members,
             coalesce(u.zoom_user_id, a.zoom_user_id) as zoom_user_id,
             coalesce(a.users, (u.zoom_user_id is not null)::int) as users
        from wish w
        left join steward_app.members m on m.id = w.member_id and m.organization_id = ${organizationId}
        left join named n on n.key = w.member_key
        left join steward.directory_users u on u.zoom_account_id = ${zoomAccountId} and u.user_key = w.zoom_id
        left join addressed a on a.place = w.place),
    wished as (
      select f.*, count(*) over (partition by f.member_id) as member_times, count(*) over (partition by f.zoom_user_id) as user_times
        from found f)
    select w.place::int as place, w.ends, w.member_id as "memberId", w.members::int as members, w.zoom_user_id as "zoomUserId",
           w.users::int as users, w.member_times > 1 as "memberTwice", w.user_times > 1 as "userTwice", z.zoom_user_id as before,
           coalesce(z.origin, '') as origin,
           (exists (select from steward.zoom_user_mappings o
                     where o.organization_id = ${organizationId} and o.zoom_account_id = ${zoomAccountId}
                       and o.zoom_user_id = w.zoom_user_id and o.member_id <> w.member_id and o.origin = 'person'
                       and not exists (select from found f where f.member_id = o.member_id and (f.ends or f.zoom_user_id is not null)))
            or exists (select from steward.member_facts o
                        where o.organization_id = ${organizationId} and o.zoom_user_key = w.zoom_user_id and o.match = 'email'
                          and o.active and o.member_id <> w.member_id
                          and not exists (select from found f where f.member_id = o.member_id and f.zoom_user_id is not null))) as taken
      from wished w
      left join steward.zoom_user_mappings z
        on z.organization_id = ${organizationId} and z.member_id = w.member_id and z.zoom_account_id = ${zoomAccountId}
     order by w.place`.execute(db);
  return rows.map((row) => judge(wishes[row.place - 1] as MappingWish, row));
}

type Weighed = {
  readonly place: number;
  readonly ends: boolean;
  readonly memberId: string | null;
  readonly members: number;
  readonly zoomUserId: string | null;
  readonly users: number;
  readonly memberTwice: boolean;
  readonly userTwice: boolean;
  readonly before: string | null;
  readonly origin: string;
  readonly taken: boolean;
};

function judge(wish: MappingWish, row: Weighed): WeighedMapping {
  const { memberId, zoomUserId, before } = row;
  const known = { ...wish, memberId, zoomUserId, before };
  const problem = problemOf(row);
  if (problem) return { ...known, problem, effect: null };
  // A mapping that an equivalence of domains made becomes a person's when a person says the same.
  const made = row.origin === 'person' ? before : null;
  if (row.ends) return { ...known, problem: null, effect: made === null ? 'unchanged' : 'ended' };
  const effect = made === zoomUserId ? 'unchanged' : made === null ? 'new' : 'moved';
  return { ...known, problem: null, effect };
}

function problemOf(row: Weighed): MappingProblem | null {
  if (row.members === 0) return 'unknown_member';
  if (row.members > 1) return 'ambiguous_member';
  if (row.memberTwice) return 'member_twice';
  if (row.ends) return null;
  if (row.users === 0) return 'unknown_zoom_user';
  if (row.users > 1) return 'ambiguous_zoom_user';
  if (row.zoomUserId === null) return 'pending_zoom_user';
  if (row.userTwice) return 'zoom_user_twice';
  return row.taken ? 'zoom_user_taken' : null;
}

/** A sentence for each problem: what is wrong and what to do. */
export const mappingProblems: Readonly<Record<MappingProblem, string>> = {
  unknown_member: 'no member of the organization has this id or address',
  ambiguous_member: 'several members have this address; use the id',
  member_twice: 'the member is named more than once',
  unknown_zoom_user: 'the Zoom account has no such user, or the copy of its users is older',
  ambiguous_zoom_user: 'several Zoom users have this address; use the Zoom user id',
  pending_zoom_user: 'the Zoom user has not accepted the invitation, and has no id until then',
  zoom_user_twice: 'the Zoom user is named more than once',
  zoom_user_taken: 'another member is matched to this Zoom user; end that first, or name both',
};
