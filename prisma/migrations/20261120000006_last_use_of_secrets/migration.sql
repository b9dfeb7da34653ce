-- When a key was last used is known from its secrets. So the rows that every verification reads are not rewritten for it.
ALTER TABLE "ApiKey" DROP COLUMN "lastUsedAt";
