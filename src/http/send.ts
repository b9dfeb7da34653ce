import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Answer, HeaderList } from './answer.js';

/** Comments keep an event stream open that has nothing to send, through proxies that close idle connections. */
const heartbeatMs = 12_000;
const heartbeat = ':\n\n';

/**
 * Sends an answer. Resolves when Node has all of it; for a stream, when it ends or the client goes away.
 * @param onProgress is called whenever the client has taken a part of a stream
 */
export async function send(
  response: ServerResponse,
  { status, body }: Answer,
  headers: HeaderList,
  onProgress: () => void,
): Promise<void> {
  response.writeHead(status, headers as string[]);
  if (body === null || typeof body === 'string' || Buffer.isBuffer(body)) response.end(body ?? undefined);
  else await sendStream(response, body[Symbol.asyncIterator](), onProgress);
}

async function sendStream(
  response: ServerResponse,
  parts: AsyncIterator<string>,
  onProgress: () => void,
): Promise<void> {
  const closed = once(response, 'close').then(() => null);
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
      if (!response.write(part.value)) await Promise.race([once(response, 'drain'), closed]);
      onProgress();
    }
    response.end();
  } finally {
    clearInterval(beating);
  }
}
