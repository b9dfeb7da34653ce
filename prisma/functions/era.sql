-- Names this database for as long as transaction ids and snapshots of it are comparable. A restart, another
-- server in its place and restored tables start another era, in which a snapshot of an earlier era means
-- nothing.
CREATE OR REPLACE FUNCTION tollkeeper.era() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT extract(epoch FROM pg_postmaster_start_time())::text || ' ' || '"ApiKey"'::regclass::oid::text
$$;
