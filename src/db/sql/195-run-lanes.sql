-- Waits until nobody else writes in an organization, and keeps it so to the end of the transaction: neither looks nor another
-- chunk, nor a second lane that outlived its first (docs/reconciliation.md, Two lanes). The lock of the second lane is waited for and
-- given back at once, by a block that fails: whoever holds the organization may then let a second lane begin.
create or replace function steward.hold_organization(organization uuid) returns void
language plpgsql volatile as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('org:' || organization, 0));
  begin
    perform pg_advisory_xact_lock(hashtextextended('lane:' || organization, 0));
    raise exception 'given back';
  exception when raise_exception then null;
  end;
end $$;

-- A run that ended amid a phase needs no second lane: its row goes, and what it did and the run does not count yet is added.
-- The caller holds the connection, so that no second lane is at work.
create or replace function steward.end_lane(run uuid) returns void
language sql volatile as $$
  with gone as (delete from steward.run_lanes l where l.run_id = run returning l.counts)
  update steward.runs r
     set counts = (select coalesce(jsonb_object_agg(c.category, c.n), '{}')
                     from (select e.key as category, sum(e.value::bigint) as n
                             from (select * from jsonb_each_text(r.counts) union all select * from jsonb_each_text(g.counts)) e group by e.key) c)
    from gone g where r.id = run and g.counts <> '{}'
$$;
