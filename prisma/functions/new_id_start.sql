-- The first 31 characters of an id: the prefix and a UUIDv7 without its last five hexadecimal digits, which
-- the caller adds. Time (microseconds) and sequence come first, so the ids of one account sort in the order
-- of their creation: they are created under the account's lock. The sequence decides within one microsecond.
CREATE OR REPLACE FUNCTION tollkeeper.new_id_start(prefix text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  microseconds bigint := floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
  RETURN prefix || '_' || lpad(to_hex(microseconds / 1000), 12, '0')
    || '7' || lpad(to_hex((microseconds % 1000) * 4), 3, '0')
    || '8' || lpad(to_hex(nextval('"LedgerEntry_order"')), 10, '0');
END
$$;
