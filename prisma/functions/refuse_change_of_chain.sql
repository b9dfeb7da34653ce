-- Trigger: the end of an audit chain moves forward by one event at a time, and is never removed.
CREATE OR REPLACE FUNCTION tollkeeper.refuse_change_of_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% refused: the rows of "AuditChain" change only with the events that they count', TG_OP;
END
$$;
