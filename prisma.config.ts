import { defineConfig } from 'prisma/config';

// `prisma generate` asks for the schema engine's binary although it never runs it, and the binary cannot be
// downloaded everywhere. Any existing file satisfies the question; migrations run on the WebAssembly engine.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;

export default defineConfig({ schema: 'prisma/schema.prisma', migrations: { path: 'prisma/migrations' } });
