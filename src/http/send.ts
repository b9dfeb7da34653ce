import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Answer, HeaderList } from './answer.js';

/**
 * Comments keep an event stream open that has nothing to send, through proxies that close idle connections.
 */
const heartbeatMs = 12_000;
const heartbeat = ':\n\n';

/** How long a client may go on sending a body after its request was refused. */
const refusedMsMax = 1_000;

/**
 * Sends an answer. A stream resolves when it ends or the client goes away; all else is sent at once.
 * @param onProgress is called whenever the client has taken a part of a stream
 */
export function send(
  response: ServerResponse,
  { status, body }: Answer,
  headers: HeaderList,
  onProgress: () => void,
): Promise<void> | undefined {
  if (!response.req.complete) endRefusedBody(response);
  response.writeHead(status, headers as string[]);
  if (body !== null && typeof body !== 'string' && !Buffer.isBuffer(body)) {
    return sendStream(response, body[Symbol.asyncIterator](), onProgress);
  }
  response.end(body ?? undefined);
  return undefined;
}

/**
 * A request that is refused before its whole body has arrived goes on sending. Closing the connection at once
 * would discard the response, so the client gets a second to read it.
 */
function endRefusedBody(response: ServerResponse): void {
  const { req: request } = response;
  response.once('finish', () => {
    if (request.complete) return;
    const { socket } = request;
    const end = setTimeout(() => socket.destroy(), refusedMsMax);
    const forget = () => {
      clearTimeout(end);
      socket.off('close', forget);
    };
    socket.once('close', forget);
    request.once('end', forget);
  });
}

async function sendStream(
  response: ServerResponse,
  parts: AsyncIterator<string>,
  onProgress: () => void,
): Promise<void> {
  const nothing = () => null;
  const closed = response.destroyed ? Promise.resolve(null) : once(response, 'close').then(nothing, nothing);
  const beat = () => {
    if (response.writableNeedDrain) return;
    response.write(heartbeat);
    onProgress();
  };
  // Some browsers report an open stream only after its first byte.
  beat();
  const beating = setInterval(beat, heartbeatMs);
  try {
    for (;;) {
      const part = await Promise.race([parts.next(), closed]);
      if (part === null) {
        await parts.return?.();
        return;
      }
      if (part.done === true) break;
      if (!response.write(part.value)) await Promise.race([once(response, 'drain').catch(nothing), closed]);
      onProgress();
    }
    response.end();
  } finally {
    clearInterval(beating);
  }
}
