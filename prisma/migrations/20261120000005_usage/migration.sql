-- CreateTable
CREATE TABLE "KeyUsage" (
    "workspaceId" TEXT NOT NULL,
    "apiKeyId" TEXT NOT NULL,
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "code" TEXT NOT NULL,
    "requests" BIGINT NOT NULL,
    "credits" BIGINT NOT NULL,

    CONSTRAINT "KeyUsage_pkey" PRIMARY KEY ("apiKeyId","hour","code")
);

-- CreateIndex
CREATE INDEX "KeyUsage_workspaceId_hour_idx" ON "KeyUsage"("workspaceId", "hour");
