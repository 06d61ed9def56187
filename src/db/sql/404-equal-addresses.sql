-- Addresses that mean the same person as these by the organization's pairs of domains, these not among them: the same local
-- part at the other domain. Pairs stand alone: nothing follows from two of them (docs/directory.md).
create or replace function steward.equal_addresses(organization uuid, keys text[]) returns setof text
language sql stable parallel safe as $$
  select left(k.key, -char_length(k.domain)) || case when e.domain = k.domain then e.same_as else e.domain end
    from (select key, split_part(key, '@', -1) as domain from unnest(keys) as given (key) where strpos(key, '@') > 0) k
    join steward.domain_equivalences e on e.organization_id = organization and k.domain in (e.domain, e.same_as)
$$;
