// Bare node:http: reads a JSON body and answers JSON. What any server in Node pays before it has done anything.
import { createServer } from 'node:http';
import { listen, readJson, sendJson } from './settings.mjs';

await listen(
  createServer((request, response) => {
    readJson(request, ({ variables }) => sendJson(response, { data: { ping: { message: variables.message } } }));
  }),
);
