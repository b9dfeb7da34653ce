-- Session tokens are stored as SHA-256 in hexadecimal. Sessions that exist stay open: only their stored form
-- changes. Plaintext tokens have 32 letters and digits, so a hash is not hashed again.
-- A process of the previous release does not find these sessions, and asks their users to sign in again.
UPDATE "AuthSession"
SET "token" = encode(sha256(convert_to("token", 'UTF8')), 'hex')
WHERE length("token") = 32;
