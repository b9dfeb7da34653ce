// JSON has no times, bytes and large integers. They are written as texts that begin with $ and a letter, and a text that
// begins with $ by itself gets another one before it.

/** A result as text, from which {@link readResult} makes the same again. What is undefined is left out. */
export function writeResult(result: object | string): string {
  return JSON.stringify(result, function replace(this: Record<string, unknown>, name: string, value: unknown) {
    // A Date has become a text before it comes here.
    const original = this[name];
    if (original instanceof Date) return `$t${original.toISOString()}`;
    if (original instanceof Uint8Array) return `$b${Buffer.from(original).toString('base64')}`;
    if (typeof value === 'bigint') return `$n${value}`;
    return typeof value === 'string' && value.startsWith('$') ? `$${value}` : value;
  });
}

/** The result of which {@link writeResult} made a text. */
export function readResult(text: string): unknown {
  return JSON.parse(text, (_name, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith('$')) return value;
    const rest = value.slice(2);
    switch (value[1]) {
      case 't':
        return new Date(rest);
      case 'b':
        return new Uint8Array(Buffer.from(rest, 'base64'));
      case 'n':
        return BigInt(rest);
      default:
        return value.slice(1);
    }
  });
}
