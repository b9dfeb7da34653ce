/** The origins from which a browser may act for a person here: the server's own, and those that the operator allows. */
export interface Origins {
  readonly all: ReadonlySet<string>;
  includes(origin: string | null): boolean;
}

/** Two names for one machine. A newcomer opens either, and both show the same server. */
const loopbackNames = ['127.0.0.1', 'localhost'];
/** Addresses that reach this machine by its loopback names too: all of its interfaces, and the loopback of IPv6. */
const reachedByLoopback = [...loopbackNames, '0.0.0.0', '[::]', '[::1]'];

/**
 * @param publicUrl the address that people see. Where it is this machine, both of its loopback names count as the server's own.
 * @param allowedOrigins none by default: no site but the server's own may use a session's cookie.
 */
export function createOrigins(publicUrl: string, allowedOrigins: readonly string[]): Origins {
  const own = new URL(publicUrl);
  const all = new Set([own.origin, ...allowedOrigins.map((origin) => new URL(origin).origin)]);
  if (reachedByLoopback.includes(own.hostname)) {
    for (const name of loopbackNames) all.add(`${own.protocol}//${name}${own.port === '' ? '' : `:${own.port}`}`);
  }
  return { all, includes: (origin) => origin !== null && all.has(origin) };
}
