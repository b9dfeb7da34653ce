-- Trigger: rows of the ledger and of the audit trail are never changed or removed. Unlike a missing
-- privilege, a trigger stops the owner of the table too.
CREATE OR REPLACE FUNCTION tollkeeper.refuse_change_of_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% refused: the rows of "%" are never changed or removed', TG_OP, TG_TABLE_NAME
    USING HINT = 'Write a new row that corrects the old one.';
END
$$;
