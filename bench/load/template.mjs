/** @typedef {{ offset: number, kind: 'secret' | 'unique' }} Hole */
/**
 * @typedef {{ text: string, holes: Hole[] }} Template a whole HTTP request; its holes are filled for each
 *   request
 */

/** Number of digits of a `<unique>`. */
export const uniqueLength = 16;

/**
 * Builds a JSON POST. Each `<secret>` in the body is replaced by a random key, and each `<unique>` by a
 * unique number. So a request costs the generator a few copied bytes, and no JSON serialization.
 * @param {{ path: string, body: string, headers?: Record<string, string>, secretLength: number }} request
 * @returns {Template}
 */
export function createTemplate({ path, body, headers = {}, secretLength }) {
  const lengths = { secret: secretLength, unique: uniqueLength };
  const holes = [];
  let filled = '';
  let end = 0;
  for (const match of body.matchAll(/<(secret|unique)>/g)) {
    filled += body.slice(end, match.index);
    holes.push({ offset: filled.length, kind: match[1] });
    filled += '0'.repeat(lengths[match[1]]);
    end = match.index + match[0].length;
  }
  filled += body.slice(end);
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Content-Type: application/json',
    'Accept: application/json',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(filled)}`,
    '\r\n',
  ].join('\r\n');
  return { text: head + filled, holes: holes.map((hole) => ({ ...hole, offset: hole.offset + head.length })) };
}
