/**
 * SQLSTATEs of a database that is down or overloaded: connection exceptions (08), insufficient resources
 * (53), a shutdown or a cancelled statement (57), an exceeded lock or idle limit, and a server that is now a
 * read-only standby.
 */
export const outageStates = /^(08...|53...|57P0[1-5]|57014|55P03|25P0[34]|25006)$/;

/** Whether an error carries this code: an SQLSTATE of PostgreSQL, or a code of Node. */
export function hasCode(error: unknown, code: string): boolean {
  return codeOf(error) === code;
}

/** The code of an error, or an empty string. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
