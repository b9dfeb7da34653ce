import { once } from 'node:events';

/** Settings that the bench passes to a peer at its start. */
export const settings = JSON.parse(process.env.BENCH_SETTINGS ?? '{}');

// The parent process has ended.
process.on('disconnect', () => process.exit());

/**
 * Listens on a free port, and sends the port to the parent process.
 * @param {import('node:http').Server} server
 */
export async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.send({ ready: true, port: server.address().port });
}

/**
 * Reads a JSON body.
 * @param {import('node:http').IncomingMessage} request
 * @param {(body: any) => void} use
 */
export function readJson(request, use) {
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (chunk) => {
    text += chunk;
  });
  request.on('end', () => use(JSON.parse(text)));
}

/** @param {import('node:http').ServerResponse} response @param {object} value */
export function sendJson(response, value, status = 200) {
  const text = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
