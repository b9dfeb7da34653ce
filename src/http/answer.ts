/** What a route answers, before the pipeline finishes its headers and sends it. */
export interface Answer {
  readonly status: number;
  readonly headers: HeaderList;
  /** Null: no body. An iterable is sent piece by piece. */
  readonly body: string | Buffer | AsyncIterable<string> | null;
}

/**
 * Names in lower case and values in turn, as `writeHead` takes them: an object with as many names would be
 * slower to build.
 */
export type HeaderList = readonly string[];

export function answerJson(body: unknown, status = 200, headers: HeaderList = []): Answer {
  return { status, headers: ['content-type', 'application/json', ...headers], body: JSON.stringify(body) };
}

/** Flattens an object of headers. */
export function toHeaderList(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flatMap(([name, value]) => [name.toLowerCase(), value]);
}

export function hasHeader(headers: HeaderList, name: string): boolean {
  for (let index = 0; index < headers.length; index += 2) if (headers[index] === name) return true;
  return false;
}

/** Adds a header, or replaces its value. */
export function setHeader(headers: string[], name: string, value: string): void {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== name) continue;
    headers[index + 1] = value;
    return;
  }
  headers.push(name, value);
}
