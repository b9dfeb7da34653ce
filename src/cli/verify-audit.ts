import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { Db } from '../db/transaction.js';
import { type ChainFault, findHash, listChains, verifyChain } from '../domain/audit/chain.js';
import { StartError } from '../errors.js';

/** Name in the output for the chain of events that belong to no workspace. */
const serverName = 'server';
const chainEndPattern = /^(?<name>server|wsp_[0-9a-f]{32}) (?<sequence>\d{1,10}) (?<hash>[0-9a-f]{64})$/;

/** Faults beyond this number are only counted. */
const faultsListedMax = 20;

/**
 * Verifies every chain of the audit trail and prints its end: its name, the number of its last event, and
 * that event's hash. With the output of an earlier run, it also checks that each of those events still exists
 * with the same hash. This detects an attacker who can recompute every hash. Memory is bounded, however long
 * the chains and the file are.
 * @param earlierOutput path of a file with the output of an earlier run
 * @param print receives each line
 * @throws StartError that names the first broken event of each broken chain
 */
export async function verifyAudit(
  db: Db,
  earlierOutput: string | undefined,
  print: (line: string) => void,
): Promise<void> {
  const faults = new Faults();
  if (earlierOutput !== undefined) await compareWithEarlier(db, earlierOutput, faults);
  let chains = 0;
  for await (const workspaceId of listChains(db)) {
    const { end, fault } = await verifyChain(db, workspaceId);
    const name = workspaceId ?? serverName;
    if (fault !== null) faults.add(sentenceOf(name, fault));
    else if (end.sequence > 0) print(`${name} ${end.sequence} ${end.hash}\n`);
    chains += 1;
  }
  faults.throwIfAny(chains);
}

function sentenceOf(name: string, { kind, sequence, eventId }: ChainFault): string {
  switch (kind) {
    case 'changed':
      return `${name}: event ${sequence} (${eventId ?? 'the last one'}) was changed.`;
    case 'missing':
      return eventId === null
        ? `${name}: event ${sequence} and all later events were removed.`
        : `${name}: event ${sequence} was removed. The next existing event is ${eventId}.`;
    case 'added':
      return `${name}: event ${sequence} (${eventId}) was not added by the server.`;
  }
}

/** @throws StartError for a file that cannot be read, or that is not such output. */
async function compareWithEarlier(db: Db, path: string, faults: Faults): Promise<void> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  try {
    for await (const line of lines) {
      if (line === '') continue;
      const { name, sequence, hash } = chainEndPattern.exec(line)?.groups ?? {};
      if (name === undefined || hash === undefined) {
        throw new StartError(
          `${path} is not the output of \`tollkeeper audit verify\`. This line is not the end of a chain: ${line}`,
        );
      }
      const found = await findHash(db, name === serverName ? null : name, Number(sequence));
      if (found !== hash) {
        const change = found === null ? 'is missing' : 'has another hash';
        faults.add(`${name}: event ${sequence}, which is in ${path}, ${change}.`);
      }
    }
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`${path} cannot be read (${error instanceof Error ? error.message : String(error)}).`);
  }
}

/** Collects faults, and lists the first few of them. */
class Faults {
  #count = 0;
  readonly #listed: string[] = [];

  add(sentence: string): void {
    this.#count += 1;
    if (this.#listed.length < faultsListedMax) this.#listed.push(sentence);
  }

  throwIfAny(chains: number): void {
    if (this.#count === 0) return;
    const hidden = this.#count - this.#listed.length;
    const more = hidden > 0 ? [`And ${hidden} more.`] : [];
    throw new StartError(
      [`The audit trail is not intact. ${chains} chains were verified.`, ...this.#listed, ...more].join('\n'),
    );
  }
}
