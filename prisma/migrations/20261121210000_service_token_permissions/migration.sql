-- AlterTable
ALTER TABLE "ServiceToken" ADD COLUMN     "permissions" TEXT[] DEFAULT ARRAY[]::TEXT[];
