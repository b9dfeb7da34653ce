/** Origins whose pages may use the session cookie: the server's own, and those that the operator allows. */
export interface Origins {
  readonly all: ReadonlySet<string>;
  includes(origin: string | null): boolean;
}

/** Two names of this machine. A developer may open either. */
const loopbackNames = ['127.0.0.1', 'localhost'];
/** Hosts of a public URL that both names reach: all interfaces, and the loopback of IPv6. */
const reachedByLoopback = [...loopbackNames, '0.0.0.0', '[::]', '[::1]'];

/**
 * @param publicUrl of this server. If it is on this machine, both loopback names count as the server's own.
 * @param allowedOrigins of other sites
 */
export function createOrigins(publicUrl: string, allowedOrigins: readonly string[]): Origins {
  const own = new URL(publicUrl);
  const all = new Set([own.origin, ...allowedOrigins.map((origin) => new URL(origin).origin)]);
  if (reachedByLoopback.includes(own.hostname)) {
    for (const name of loopbackNames) all.add(`${own.protocol}//${name}${own.port === '' ? '' : `:${own.port}`}`);
  }
  return { all, includes: (origin) => origin !== null && all.has(origin) };
}
