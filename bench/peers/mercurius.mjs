// Mercurius on Fastify with its JIT: each document is compiled the first time it is executed.
import fastify from 'fastify';
import mercurius from 'mercurius';
import { resolvers, typeDefs } from './trivial-schema.mjs';

process.on('disconnect', () => process.exit());
const app = fastify();
app.register(mercurius, { schema: typeDefs, resolvers, jit: 1 });
await app.listen({ port: 0, host: '127.0.0.1' });
process.send({ ready: true, port: app.server.address().port });
