-- The domain of an address in ASCII (IDNA: UTS 46 mapping, then Punycode label by label). Equality is all it is for:
-- a domain that no registry would accept still gets a key.
create or replace function steward.domain_key(domain text) returns text
language plpgsql immutable strict parallel safe as $$
begin
  -- Most domains are ASCII although the name before the @ is not, and folding goes through a thousand pairs.
  if octet_length(domain) = char_length(domain) then
    return lower(domain collate "C") collate "default";
  end if;
  return (
    select string_agg(case when octet_length(label) = char_length(label) then label else 'xn--' || steward.punycode(label) end, '.' order by place)
      from string_to_table(normalize(steward.fold_domain(normalize(steward.fold_domain(domain), nfkd)), nfc), '.')
           with ordinality as labels (label, place));
end $$;

-- The key of an address that is not plain ASCII: the domain is what follows the last @. Security definer, because the
-- index on members calls it in the name of whoever writes a member.
create or replace function steward.address_key_unicode(address text) returns text
language plpgsql immutable strict parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- White space as JavaScript's trim() and people's spreadsheets know it.
  trimmed constant text := btrim(normalize(address, nfc), U&' \0009\000A\000B\000C\000D\00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\2028\2029\202F\205F\3000\FEFF');
  domain constant text := case when strpos(trimmed, '@') > 0 then substring(trimmed from '[^@]*$') else '' end;
begin
  return translate(left(trimmed, char_length(trimmed) - char_length(domain)), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')
      || coalesce(steward.domain_key(domain), '');
end $$;

-- By what two addresses are the same (behaviour §4): trimmed, NFC, A–Z folded to a–z and nothing else, the domain in
-- ASCII. Independent of the database's locale. Null for null and for nothing but white space. Nearly every address
-- is plain ASCII, so that path is one expression the planner inlines; the index on members depends on that. Under the
-- collation C, and only there, lower() folds A–Z and nothing else, whatever the locale; translate() would cost 8 µs.
create or replace function steward.address_key(address text) returns text
language sql immutable parallel safe
return nullif(case when octet_length(address) = char_length(address)
  then lower(btrim(address, E' \t\n\r\f\v') collate "C") collate "default"
  else steward.address_key_unicode(address) end, '');
