// Bare node:http: reads a JSON body and answers JSON. The minimum cost of any server in Node.
import { createServer } from 'node:http';
import { listen, readJson, sendJson } from './settings.mjs';

await listen(
  createServer((request, response) => {
    readJson(request, ({ variables }) => sendJson(response, { data: { ping: { message: variables.message } } }));
  }),
);
