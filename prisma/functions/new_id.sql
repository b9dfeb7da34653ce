-- A new id: the prefix, an underscore and a UUIDv7 in 32 hexadecimal digits, such as `led_019…`.
CREATE OR REPLACE FUNCTION tollkeeper.new_id(prefix text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN tollkeeper.new_id_start(prefix) || lpad(to_hex(floor(random() * 1048576)::integer), 5, '0');
END
$$;
