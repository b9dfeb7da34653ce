import { NotAcceptableError } from '../errors.js';

export type JsonMediaType = 'application/json' | 'application/graphql-response+json';
export const eventStream = 'text/event-stream';

/** The media types in which a client can be answered. At least one is not null. */
export interface AcceptedMediaTypes {
  /** Of a single result. */
  readonly json: JsonMediaType | null;
  /** Of several results, and of a single one for a client that accepts nothing else. */
  readonly eventStream: typeof eventStream | null;
}

/** In order of preference for a client that accepts both equally, such as with a wildcard. */
const jsonMediaTypes: readonly JsonMediaType[] = ['application/json', 'application/graphql-response+json'];

/** What nearly all clients send. */
const frequent = new Map<string | undefined, AcceptedMediaTypes>([
  [undefined, { json: 'application/json', eventStream }],
  ['*/*', { json: 'application/json', eventStream }],
  ['application/json', { json: 'application/json', eventStream: null }],
  ['application/graphql-response+json', { json: 'application/graphql-response+json', eventStream: null }],
]);

/**
 * Negotiates the media type of the response (RFC 9110, 12.5.1; GraphQL over HTTP, 6.1).
 * @throws NotAcceptableError
 */
export function negotiateMediaTypes(accept: string | undefined): AcceptedMediaTypes {
  const known = frequent.get(accept);
  if (known !== undefined) return known;
  const ranges = parseAccept(accept ?? '');
  const [json] = jsonMediaTypes
    .map((mediaType) => ({ mediaType, ...findMatch(ranges, mediaType) }))
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality || a.position - b.position);
  const accepted = {
    json: json?.mediaType ?? null,
    eventStream: findMatch(ranges, eventStream).quality > 0 ? eventStream : null,
  } as const;
  if (accepted.json === null && accepted.eventStream === null) throw new NotAcceptableError();
  return accepted;
}

interface MediaRange {
  readonly type: string;
  readonly quality: number;
  readonly position: number;
}

/** Media ranges of another charset than UTF-8 are left out: no response has another one. */
function parseAccept(accept: string): MediaRange[] {
  return accept
    .toLowerCase()
    .split(',')
    .flatMap((range, position) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
      const parameter = (name: string) =>
        parameters.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
      if ((parameter('charset') ?? 'utf-8').replaceAll('"', '') !== 'utf-8') return [];
      const quality = Number(parameter('q') ?? 1);
      return [{ type, quality: Number.isNaN(quality) ? 0 : quality, position }];
    });
}

/** The most specific range decides. */
function findMatch(ranges: readonly MediaRange[], mediaType: string): Pick<MediaRange, 'quality' | 'position'> {
  for (const type of [mediaType, `${mediaType.split('/', 1).join('')}/*`, '*/*']) {
    const range = ranges.find((each) => each.type === type);
    if (range !== undefined) return range;
  }
  return { quality: 0, position: 0 };
}
