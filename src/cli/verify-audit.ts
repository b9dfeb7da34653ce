import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { Db } from '../db/transaction.js';
import { type ChainFault, findHash, listChains, verifyChain } from '../domain/audit/chain.js';
import { StartError } from '../errors.js';

/** What this shell calls the chain of the server itself. */
const serverName = 'server';
const noteForm = /^(?<name>server|wsp_[0-9a-f]{32}) (?<sequence>\d{1,10}) (?<hash>[0-9a-f]{64})$/;

/** The most faults that are told one by one. */
const faultsToldMax = 20;

/**
 * Follows every chain of the audit trail and prints where it ends: its name, the number of its last event, and that event's hash. Where
 * the lines of an earlier run are given, each of those events has to be there still: that finds what somebody changed who could also
 * write every hash anew. Memory is bounded, however long the chains and the notes are.
 * @param notes the path of a file with what an earlier run printed
 * @param print takes each line
 * @throws StartError that names the first broken event of each chain that is broken
 */
export async function verifyAudit(db: Db, notes: string | undefined, print: (line: string) => void): Promise<void> {
  const faults = new Faults();
  if (notes !== undefined) await compareNotes(db, notes, faults);
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
        ? `${name}: event ${sequence} was removed, and whatever came after it.`
        : `${name}: event ${sequence} was removed; the next one that is there is ${eventId}.`;
    case 'added':
      return `${name}: event ${sequence} (${eventId}) was added by somebody else than the server.`;
  }
}

/** @throws StartError for a file that cannot be read, or is none of these notes. */
async function compareNotes(db: Db, path: string, faults: Faults): Promise<void> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  try {
    for await (const line of lines) {
      if (line === '') continue;
      const { name, sequence, hash } = noteForm.exec(line)?.groups ?? {};
      if (name === undefined || hash === undefined) {
        throw new StartError(
          `${path} is not what \`tollkeeper audit verify\` prints. This line is no end of a chain: ${line}`,
        );
      }
      const found = await findHash(db, name === serverName ? null : name, Number(sequence));
      if (found !== hash) {
        faults.add(
          `${name}: event ${sequence} ${found === null ? 'is missing' : 'is another one'} since it was noted in ${path}.`,
        );
      }
    }
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`${path} cannot be read (${error instanceof Error ? error.message : String(error)}).`);
  }
}

/** What is wrong, of which the first few are told. */
class Faults {
  #count = 0;
  readonly #told: string[] = [];

  add(sentence: string): void {
    this.#count += 1;
    if (this.#told.length < faultsToldMax) this.#told.push(sentence);
  }

  throwIfAny(chains: number): void {
    if (this.#count === 0) return;
    const more = this.#count > this.#told.length ? [`And ${this.#count - this.#told.length} more.`] : [];
    throw new StartError(
      [`The audit trail is not intact; ${chains} chains were followed.`, ...this.#told, ...more].join('\n'),
    );
  }
}
