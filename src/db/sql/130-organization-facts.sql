-- What the rules need to know of an organization. One row, also for an organization without connection or settings.
-- A shared host is one only while that Zoom user can host: nobody hosts through somebody who is gone.
create or replace function steward.organization_facts(organization uuid)
returns table (organization_id uuid, connection_id uuid, generation bigint, org_state text, ever_disconnected boolean, observe boolean,
               zoom_account_id text, allow_opt_out boolean, rollout text, rollout_groups uuid[], rollout_domains text[],
               shared_host text, shared_host_type smallint)
language sql stable parallel safe as $$
  select asked.id, c.id, coalesce(c.generation, 0), coalesce(c.state, 'none'), c.disconnected_at is not null, coalesce(c.observe, false),
         c.zoom_account_id, coalesce(s.allow_opt_out, false), coalesce(s.rollout, 'all'), coalesce(s.rollout_groups, '{}'),
         coalesce(s.rollout_domains, '{}'), h.zoom_user_id, h.user_type
    from (values (organization)) as asked (id)
    left join steward.org_connections c on c.organization_id = asked.id
    left join steward.organization_settings s on s.organization_id = asked.id
    left join steward.directory_users h on h.zoom_account_id = c.zoom_account_id and h.user_key = s.shared_host_zoom_user_id
          and h.zoom_user_id is not null and h.status = 'active' and h.user_type in (1, 2)
$$;
