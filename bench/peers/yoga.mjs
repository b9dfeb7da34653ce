// GraphQL Yoga through its HTTP adapter, as its documentation serves it.
import { createServer } from 'node:http';
import { createSchema, createYoga } from 'graphql-yoga';
import { listen } from './settings.mjs';
import { resolvers, typeDefs } from './trivial-schema.mjs';

await listen(createServer(createYoga({ schema: createSchema({ typeDefs, resolvers }), logging: false })));
