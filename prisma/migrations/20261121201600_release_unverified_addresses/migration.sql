-- Users of an identity provider keep no address that the provider did not vouch for: its owner could not sign up.
UPDATE "User" u SET "email" = u."id" || '@identity.invalid', "updatedAt" = now()
WHERE NOT u."emailVerified"
  AND EXISTS (SELECT 1 FROM "AuthAccount" a WHERE a."userId" = u."id")
  AND NOT EXISTS (SELECT 1 FROM "AuthAccount" a WHERE a."userId" = u."id" AND a."providerId" = 'credential');
