/** One line of the engine's SQL, made wrong. `find` stands in the file exactly once. */
export type Mutation = {
  /** in src/db/sql */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** what goes wrong with it, in the words of docs/behaviour.md */
  readonly why: string;
};

/** Mistakes somebody could make; the worlds must notice each. */
export const mutations: readonly Mutation[] = [
  {
    file: '112-address-key.sql',
    find: "return translate(left(trimmed, char_length(trimmed) - char_length(domain)), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')",
    replace: 'return lower(left(trimmed, char_length(trimmed) - char_length(domain)) collate "und-x-icu")',
    why: 'letters beyond A–Z are folded',
  },
  {
    file: '120-member-rules.sql',
    find: "grant_state not in ('dead', 'retiring', 'gone')",
    replace: "grant_state not in ('retiring', 'gone')",
    why: 'a dead grant still serves',
  },
  {
    file: '120-member-rules.sql',
    find: "when managed in ('active', 'suspect', 'broken') or external = 'broken' then 'broken'",
    replace: "when managed in ('active', 'suspect', 'broken') or external = 'broken' and managed is null then 'broken'",
    why: 'broken no longer beats disconnected',
  },
  {
    file: '120-member-rules.sql',
    find: "when not active then 'member_inactive'",
    replace: "when not active and personal <> 'usable' then 'member_inactive'",
    why: 'a deactivated member keeps their own Zoom',
  },
  {
    file: '120-member-rules.sql',
    find: "when personal = 'usable' then 'personal'",
    replace: "when personal = 'usable' and org_state <> 'active' then 'personal'",
    why: "the organization's goes before the member's own",
  },
  {
    file: '120-member-rules.sql',
    find: "when org_state in ('active', 'interrupted') and in_rollout and not opted_out_counts",
    replace: "when org_state = 'active' and in_rollout and not opted_out_counts",
    why: 'an interruption takes the organization from its members',
  },
  {
    file: '120-member-rules.sql',
    find: 'and in_rollout and not opted_out_counts',
    replace: 'and (in_rollout or not opted_out_counts)',
    why: 'rollout and opting out do not both count',
  },
  {
    file: '120-member-rules.sql',
    find: "when org_state in ('active', 'interrupted') and opted_out_counts then 'opted_out'",
    replace: "when org_state in ('active', 'interrupted') and opted_out_counts and in_rollout then 'opted_out'",
    why: 'the rollout is named before opting out',
  },
  {
    file: '120-member-rules.sql',
    find: "org_state in ('none', 'pending') and ever_disconnected",
    replace: "org_state in ('none') and ever_disconnected",
    why: 'a new link hides that the organization disconnected',
  },
  {
    file: '120-member-rules.sql',
    find: "when has_shared_host and match in ('none', 'not_verified', 'ambiguous') then 'can_host'",
    replace: "when has_shared_host and match in ('none', 'not_verified', 'ambiguous', 'checking') then 'can_host'",
    why: 'the shared host hosts for members still being looked for',
  },
  {
    file: '120-member-rules.sql',
    find: "when zoom_type in (1, 2) then 'can_host'",
    replace: "when zoom_type in (1, 2, 4) then 'can_host'",
    why: 'type 4 can host',
  },
  {
    file: '120-member-rules.sql',
    find: "case when match in ('mapping', 'email') then zoom_type else shared_host_type end = 1",
    replace: 'zoom_type = 1',
    why: 'meetings of a basic shared host are not flagged',
  },
  {
    file: '130-organization-facts.sql',
    find: "and h.zoom_user_id is not null and h.status = 'active' and h.user_type in (1, 2)",
    replace: 'and h.zoom_user_id is not null',
    why: 'a shared host who is gone still hosts',
  },
  {
    file: '140-live-facts.sql',
    find: 'where z.organization_id = organization and z.member_id = w.id and z.zoom_account_id = account',
    replace: 'where z.organization_id = organization and z.member_id = w.id',
    why: 'a mapping outlives its Zoom account',
  },
  {
    file: '140-live-facts.sql',
    find: "u.user_key = s.zoom_user_key and s.match = 'email' and u.zoom_user_id is not null",
    replace: "u.user_key = s.zoom_user_key and s.match = 'email'",
    why: 'an invitation is held on to',
  },
  {
    file: '140-live-facts.sql',
    find: "u.user_key = s.zoom_user_key and s.match = 'email' and u.zoom_user_id is not null",
    replace: 'u.user_key = s.zoom_user_key and u.zoom_user_id is not null',
    why: 'a mapping is remembered after it was taken back',
  },
  {
    file: '140-live-facts.sql',
    find: 'and steward.address_key(o.email) = su.address_key and o.id <> w.id) as held',
    replace: 'and steward.address_key(o.email) = s.address_key and o.id <> w.id) as held',
    why: "a match holds although the user's address is another member's",
  },
  {
    file: '140-live-facts.sql',
    find: 'and steward.address_key(o.email) = m.key and o.id <> m.id),',
    replace: 'and steward.address_key(o.email) = m.key and o.id < m.id),',
    why: 'the first of two members with one address is matched',
  },
  {
    file: '140-live-facts.sql',
    find: 't.address_key = m.key and t.user_key <> u.user_key) as found_twice',
    replace: 't.address_key = m.key and t.user_key < u.user_key) as found_twice',
    why: 'one of two Zoom users with one address is matched',
  },
  {
    file: '140-live-facts.sql',
    find: 'm.synced_at >= m.since,',
    replace: 'm.synced_at is not null,',
    why: 'a joiner is told there is no Zoom user before anybody looked',
  },
  {
    file: '140-live-facts.sql',
    find: "split_part(b.any_key, '@', -1) = any(domains)",
    replace: "split_part(b.key, '@', -1) = any(domains)",
    why: 'who has to verify an address falls out of a domain rollout',
  },
  {
    file: '140-live-facts.sql',
    find: 'from steward.opt_outs o where o.organization_id = organization and o.member_id = w.id',
    replace: 'from steward.opt_outs o where o.member_id = w.id',
    why: 'opting out of another organization counts',
  },
  {
    file: '140-live-facts.sql',
    find: 'from steward.personal_connections c where c.organization_id = organization and c.member_id = w.id',
    replace: 'from steward.personal_connections c where c.member_id = w.id',
    why: 'a personal connection in another organization counts',
  },
  {
    file: '145-live-facts-between.sql',
    find: 'where z.zoom_account_id = account',
    replace: 'where true',
    why: 'a mapping outlives its Zoom account, in a run',
  },
  {
    file: '145-live-facts-between.sql',
    find: "u.user_key = s.zoom_user_key and s.match = 'email' and u.zoom_user_id is not null",
    replace: "u.user_key = s.zoom_user_key and s.match = 'email'",
    why: 'an invitation is held on to, in a run',
  },
  {
    file: '145-live-facts-between.sql',
    find: 'and steward.address_key(o.email) = su.address_key and o.id <> b.id',
    replace: 'and steward.address_key(o.email) = s.address_key and o.id <> b.id',
    why: "a match holds although the user's address is another member's, in a run",
  },
  {
    file: '145-live-facts-between.sql',
    find: 'and steward.address_key(o.email) = m.key and o.id <> m.id',
    replace: 'and steward.address_key(o.email) = m.key and o.id < m.id',
    why: 'a run matches the first of two members with one address',
  },
  {
    file: '145-live-facts-between.sql',
    find: 'eu.found > 1',
    replace: 'eu.found > 2',
    why: 'a run matches one of two Zoom users with one address',
  },
  {
    file: '145-live-facts-between.sql',
    find: 'm.synced_at >= m.since,',
    replace: 'm.synced_at is not null,',
    why: 'a run says that there is no Zoom user before anybody looked',
  },
  {
    file: '145-live-facts-between.sql',
    find: "split_part(b.any_key, '@', -1) = any(domains)",
    replace: "split_part(b.key, '@', -1) = any(domains)",
    why: 'who has to verify an address falls out of a domain rollout, in a run',
  },
  {
    file: '190-doubtful-members.sql',
    find: 'm.active = f.active',
    replace: 'm.active is not null',
    why: 'a plan passes over somebody who was deactivated',
  },
  {
    file: '205-write-member-chunk.sql',
    find: 'f.in_rollout, f.opted_out and allow_opt_out)',
    replace: 'f.in_rollout, f.opted_out)',
    why: 'a run in one pass counts opting out where it is not allowed',
  },
  {
    file: '205-write-member-chunk.sql',
    find: 'where l.stored and not l.same and s.member_id = l.member_id',
    replace: 'where l.stored and not l.same and s.member_id = l.member_id and l.active',
    why: 'a run forgets to say that somebody was deactivated',
  },
  {
    file: '160-live-members.sql',
    find: 'l.in_rollout, l.opted_out and allow_opt_out)',
    replace: 'l.in_rollout, l.opted_out)',
    why: 'opting out counts where it is not allowed',
  },
  {
    file: '170-desired-members.sql',
    find: 'f.in_rollout, f.opted_out and allow_opt_out)',
    replace: 'f.in_rollout, f.opted_out)',
    why: '… and in the stored results',
  },
  {
    file: '300-location-rules.sql',
    find: "return coalesce(reason in ('member_inactive', 'opted_out', 'not_in_rollout', 'organization_disconnected', 'personal_disconnected'), false);",
    replace:
      "return coalesce(reason in ('member_inactive', 'opted_out', 'not_in_rollout', 'organization_disconnected', 'personal_disconnected', 'personal_broken'), false);",
    why: 'a broken personal connection takes locations away',
  },
  {
    file: '300-location-rules.sql',
    find: "return cause = 'personal_disconnected' or cause",
    replace: 'return cause',
    why: 'what a member ended comes back without being offered',
  },
  {
    file: '300-location-rules.sql',
    find: "coalesce(disconnect_cause = 'person', false)",
    replace: "coalesce(disconnect_cause <> 'deadline', false)",
    why: 'what ended with the plan is only offered',
  },
  {
    file: '310-event-type-servers.sql',
    find: 'where h.event_type_id = event_type and h.active',
    replace: 'where h.event_type_id = event_type',
    why: 'a paused host serves',
  },
  {
    file: '310-event-type-servers.sql',
    find: "kind = 'template' and owner is null",
    replace: "kind = 'template'",
    why: 'assignees serve a template that has an owner',
  },
  {
    file: '320-location-decisions.sql',
    find: 'coalesce(bool_or(not r.takes), not facts.disconnected) as kept',
    replace: 'coalesce(bool_and(not r.takes), not facts.disconnected) as kept',
    why: 'one host who drops out takes Zoom from a round robin',
  },
  {
    file: '320-location-decisions.sql',
    find: 'coalesce(bool_or(not r.takes), not facts.disconnected) as kept',
    replace: 'coalesce(bool_or(not r.takes), true) as kept',
    why: 'an event type without hosts survives the disconnect',
  },
  {
    file: '320-location-decisions.sql',
    find: '(count(*) filter (where r.can_host))::integer as can_host',
    replace: '(count(*) filter (where not r.takes))::integer as can_host',
    why: 'locations return to people who cannot host',
  },
  {
    file: '322-hosted-event-types.sql',
    find: "k.stored and k.hosting = 'can_host'",
    replace: 'k.stored',
    why: 'what a cascade took returns to people who cannot host',
  },
  {
    file: '325-location-archives.sql',
    find: "and a.expires_at > (select steward.now()) and a.neighbours <> 'superseded'",
    replace: "and a.neighbours <> 'superseded'",
    why: 'expired copies return',
  },
  {
    file: '325-location-archives.sql',
    find: 'and (also_offered or not a.offered or a.accepted_at is not null or a.generation = any(accepted_generations))',
    replace: 'and (also_offered or a.accepted_at is not null or a.generation = any(accepted_generations))',
    why: 'nothing returns by itself',
  },
  {
    file: '165-live-reasons.sql',
    find: 'coalesce(b.active, false) as active',
    replace: 'true as active',
    why: 'who was deactivated counts as one who disconnected',
  },
  {
    file: '165-live-reasons.sql',
    find: 'steward_app.personal_connections c\n           where c.member_id = any(ids) and c.organization_id = organization',
    replace:
      'steward_app.personal_connections c\n           where c.member_id = any(ids) and c.organization_id <> organization',
    why: 'a cascade does not see a personal Zoom of the main app',
  },
  {
    file: '330-locations-rows.sql',
    find: "where c.neighbours = coalesce(n.neighbours, md5(''))",
    replace: 'where true',
    why: 'locations return to a list that was edited',
  },
  {
    file: '330-locations-rows.sql',
    find: "select (series || lpad(to_hex(row_number() over ()), 12, '0'))::uuid, organization, z.event_type_id, 'rows', z.position, to_jsonb(z),",
    replace: "select gen_random_uuid(), organization, z.event_type_id, 'rows', z.position, to_jsonb(z) - 'details',",
    why: 'what comes back has lost its details',
  },
  {
    file: '340-locations-json.sql',
    find: 'b.element, b.place - (row_number() over (order by b.place) - 1), 0,',
    replace: 'b.element, b.place, 0,',
    why: 'of several Zoom locations one returns to another place',
  },
  {
    file: '340-locations-json.sql',
    find: 'case when d.fallback is null then d.others else jsonb_build_array(d.fallback) end as after',
    replace: 'd.others as after',
    why: 'the fallback is forgotten',
  },
  {
    file: '368-plan-locations-sets.sql',
    find: 'h.event_type_id = e.id and h.active',
    replace: 'h.event_type_id = e.id',
    why: 'a plan of whole tables counts paused hosts',
  },
  {
    file: '368-plan-locations-sets.sql',
    find: 'not coalesce(h.kept, not facts.disconnected) as goes',
    replace: 'not coalesce(h.kept, true) as goes',
    why: 'the preview of a large organization keeps what nobody serves',
  },
  {
    file: '368-plan-locations-sets.sql',
    find: "c.neighbours = coalesce(b.neighbours, md5(''))",
    replace: 'c.neighbours is not null',
    why: 'a plan of whole tables returns locations to a list that was edited',
  },
  {
    file: '368-plan-locations-sets.sql',
    find: 'sum(m.zoom - 1)',
    replace: 'sum(m.zoom)',
    why: 'a plan of whole tables counts a second Zoom location twice',
  },
  {
    file: '320-location-decisions.sql',
    find: 'asked_owners, serving, null, null, null, null) d\n   where not d.kept;',
    replace: 'asked_owners, serving, null, null, null, null) d;',
    why: 'a cascade takes what a personal Zoom serves',
  },
  {
    file: '352-zoom-starts.sql',
    find: "if facts.org_state not in ('active', 'interrupted') then return; end if;",
    replace: '',
    why: 'what is made while nothing is connected is noted as new',
  },
  {
    file: '352-zoom-starts.sql',
    find: "when k.is_new and k.seen <> coalesce(p.neighbours, md5('')) then 'left'",
    replace: '',
    why: 'a list that was edited while it waited for a host gets Zoom',
  },
  {
    file: '352-zoom-starts.sql',
    find: "facts.org_state = 'active' and d.can_host > 0",
    replace: 'd.can_host > 0',
    why: 'whoever has a Zoom of their own gets it in new event types while the connection is interrupted',
  },
  {
    file: '352-zoom-starts.sql',
    find: "when k.zoom or k.is_new and k.copy then 'had'",
    replace: "when k.zoom then 'had'",
    why: 'a new event type whose Zoom was just archived is not noted',
  },
  {
    file: '352-zoom-starts.sql',
    find: 'case when e.created_at > since then coalesce',
    replace: 'case when true then coalesce',
    why: 'event types of before the setting start with Zoom',
  },
  {
    file: '354-add-zoom.sql',
    find: 'f.place::bigint - 1',
    replace: 'f.place::bigint + 1000',
    why: 'rows: a new event type ends with Zoom instead of starting with it',
  },
  {
    file: '354-add-zoom.sql',
    find: 'jsonb_build_array(steward.zoom_element()) || e.locations',
    replace: 'e.locations || jsonb_build_array(steward.zoom_element())',
    why: 'JSON: a new event type ends with Zoom instead of starting with it',
  },
];
