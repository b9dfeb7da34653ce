/**
 * SQLSTATEs of a database that is away or has no room: connection exceptions (08), insufficient resources (53), the operator or a
 * limit intervened (57), a lock or an idle transaction met its limit, and a server that has become a read-only standby.
 */
export const outageStates = /^(08...|53...|57P0[1-5]|57014|55P03|25P0[34]|25006)$/;
