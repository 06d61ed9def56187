-- One label of a domain in Punycode (RFC 3492 §6.3), without the prefix. Parameters for IDNA.
create or replace function steward.punycode(label text) returns text
language plpgsql immutable strict parallel safe as $$
declare
  digits constant text := 'abcdefghijklmnopqrstuvwxyz0123456789';
  points integer[];
  ascii_part text;
  output text;
  handled integer;
  basic integer;
  n integer := 128;
  m integer;
  delta bigint := 0;
  bias integer := 72;
  q bigint;
  k integer;
  t integer;
  point integer;
begin
  select array_agg(ascii(c) order by i), coalesce(string_agg(c, '' order by i) filter (where ascii(c) < 128), '')
    into points, ascii_part
    from string_to_table(label, null) with ordinality as x (c, i);
  basic := length(ascii_part);
  output := ascii_part || case when basic > 0 then '-' else '' end;
  handled := basic;
  while handled < coalesce(array_length(points, 1), 0) loop
    select min(p) into m from unnest(points) as x (p) where p >= n;
    delta := delta + (m - n)::bigint * (handled + 1);
    n := m;
    foreach point in array points loop
      if point < n then
        delta := delta + 1;
      elsif point = n then
        q := delta;
        k := 36;
        loop
          t := case when k <= bias then 1 when k >= bias + 26 then 26 else k - bias end;
          exit when q < t;
          output := output || substr(digits, (t + (q - t) % (36 - t))::integer + 1, 1);
          q := (q - t) / (36 - t);
          k := k + 36;
        end loop;
        output := output || substr(digits, q::integer + 1, 1);
        -- adapt (RFC 3492 §6.1)
        delta := case when handled = basic then delta / 700 else delta / 2 end;
        delta := delta + delta / (handled + 1);
        k := 0;
        while delta > 455 loop
          delta := delta / 35;
          k := k + 36;
        end loop;
        bias := (k + 36 * delta / (delta + 38))::integer;
        delta := 0;
        handled := handled + 1;
      end if;
    end loop;
    delta := delta + 1;
    n := n + 1;
  end loop;
  return output;
end $$;
