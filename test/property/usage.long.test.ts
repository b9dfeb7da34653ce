import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RunStatement } from '../../src/db/database.js';
import { createUseRecorder } from '../../src/domain/usage/use-recorder.js';
import { UnavailableError } from '../../src/errors.js';
import { createLog } from '../../src/http/log.js';
import { verificationCodes } from '../../src/products/product.js';
import { sharedDatabase } from '../harness.js';

interface Step {
  readonly recorder: 0 | 1;
  readonly kind: 'record' | 'spend' | 'flush' | 'outage' | 'recovery';
  readonly key: number;
  readonly code: (typeof verificationCodes)[number];
  readonly credits: number;
  readonly hour: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  recorder: fc.constantFrom(0, 1),
  kind: fc.constantFrom('record', 'record', 'record', 'spend', 'flush', 'outage', 'recovery'),
  key: fc.nat(3),
  code: fc.constantFrom(...verificationCodes),
  credits: fc.nat(5),
  hour: fc.nat(2),
});

const startMs = Date.UTC(2030, 0, 1);
const hourMs = 3_600_000;

/** A recorder with a database that can be made unavailable. */
async function aRecorder() {
  const { run } = await sharedDatabase();
  const lines: { msg: string; uses?: number; tallies?: number }[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  let isAway = false;
  const failing: RunStatement = async (statement, values) => {
    if (isAway) throw new UnavailableError();
    return run(statement, values);
  };
  return {
    ...createUseRecorder(failing, createLog({ level: 'trace', destination })),
    /** The logged lines. */
    lines,
    setAway(away: boolean) {
      isAway = away;
    },
  };
}

/** The written usage of the keys of a workspace. */
async function writtenUsage(workspaceId: string): Promise<Record<string, [requests: number, credits: number]>> {
  const { db } = await sharedDatabase();
  const rows = await db.keyUsage.findMany({ where: { workspaceId } });
  const written: Record<string, [requests: number, credits: number]> = {};
  for (const { apiKeyId, hour, code, requests, credits } of rows) {
    const key = `${apiKeyId} ${hour.toISOString()} ${code}`;
    const [requestsBefore, creditsBefore] = written[key] ?? [0, 0];
    written[key] = [requestsBefore + Number(requests), creditsBefore + Number(credits)];
  }
  return written;
}

describe('the usage recorder', () => {
  test('writes each use exactly once for any sequence of flushes and outages, on several servers', async () => {
    const recorders = [await aRecorder(), await aRecorder()] as const;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
        const workspaceId = `wsp_${randomUUID()}`;
        const expected: Record<string, [number, number]> = {};
        const flushes: Promise<void>[] = [];
        for (const { recorder: index, kind, key: number, code, credits, hour } of steps) {
          const recorder = recorders[index];
          const key = { id: `${workspaceId}_${number}`, workspaceId, secretId: `${workspaceId}_${number}_secret` };
          const at = new Date(startMs + hour * hourMs + 12_345);
          const count = (code: string, requests: number) => {
            const place = `${key.id} ${new Date(startMs + hour * hourMs).toISOString()} ${code}`;
            const [requestsBefore, creditsBefore] = expected[place] ?? [0, 0];
            expected[place] = [requestsBefore + requests, creditsBefore + credits];
          };
          if (kind === 'record') {
            recorder.record(key, code, credits, at);
            count(code, 1);
          } else if (kind === 'spend') {
            recorder.spend(key, credits, at);
            if (credits > 0) count('VALID', 0);
          } else if (kind === 'flush') {
            flushes.push(recorder.flush());
          } else {
            recorder.setAway(kind === 'outage');
          }
        }
        await Promise.all(flushes);
        for (const recorder of recorders) recorder.setAway(false);
        await Promise.all(recorders.map((recorder) => recorder.flush()));
        expect(await writtenUsage(workspaceId)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
    for (const recorder of recorders) await recorder.close();
  });

  test('never deadlocks with another one that writes the same keys', async () => {
    const recorders = [await aRecorder(), await aRecorder()];
    const workspaceId = `wsp_${randomUUID()}`;
    const ids = Array.from({ length: 2_500 }, (_, index) => `${workspaceId}_${index}`);
    for (let round = 0; round < 3; round += 1) {
      for (const [index, recorder] of recorders.entries()) {
        // In opposite orders.
        const order = index === 0 ? ids : ids.toReversed();
        for (const id of order) recorder.record({ id, workspaceId, secretId: id }, 'VALID', 1, new Date(startMs));
      }
      await Promise.all(recorders.map((recorder) => recorder.flush()));
    }
    for (const { lines, close } of recorders) {
      expect(lines).toEqual([]);
      await close();
    }
    const usage = Object.values(await writtenUsage(workspaceId));
    expect(usage).toEqual(ids.map(() => [6, 6]));
  });

  test('logs an outage of the database and the recovery once each, and loses nothing', async () => {
    const recorder = await aRecorder();
    const workspaceId = `wsp_${randomUUID()}`;
    const key = { id: `${workspaceId}_0`, workspaceId, secretId: workspaceId };
    recorder.setAway(true);
    for (let round = 0; round < 3; round += 1) {
      recorder.record(key, 'VALID', 2, new Date(startMs));
      await recorder.flush();
    }
    recorder.setAway(false);
    await recorder.close();
    expect(recorder.lines.map(({ msg }) => msg)).toEqual([
      'could not write the usage of keys; it is kept and written later',
      'the usage of keys is written again',
    ]);
    expect(Object.values(await writtenUsage(workspaceId))).toEqual([[3, 6]]);
  });

  test('buffers at most 50,000 keys during an outage and logs how many uses it dropped', async () => {
    const recorder = await aRecorder();
    const workspaceId = `wsp_${randomUUID()}`;
    const use = (index: number) => {
      const id = `${workspaceId}_${index}`;
      recorder.record({ id, workspaceId, secretId: id }, 'FORBIDDEN', 0, new Date(startMs));
    };
    recorder.setAway(true);
    for (let index = 0; index < 50_007; index += 1) use(index);
    // A use of a buffered key is still counted.
    use(0);
    await recorder.flush();
    expect(recorder.lines.at(-1)).toMatchObject({ uses: 7, msg: 'lost uses of keys: 50000 are kept at most' });
    recorder.setAway(false);
    await recorder.close();
    const usage = await writtenUsage(workspaceId);
    expect(Object.keys(usage)).toHaveLength(50_000);
    expect(usage[`${workspaceId}_0 2030-01-01T00:00:00.000Z FORBIDDEN`]).toEqual([2, 0]);
  });

  test('logs what is lost when it closes during an outage', async () => {
    const recorder = await aRecorder();
    const workspaceId = `wsp_${randomUUID()}`;
    recorder.record({ id: workspaceId, workspaceId, secretId: workspaceId }, 'VALID', 0, new Date(startMs));
    recorder.setAway(true);
    await recorder.close();
    expect(recorder.lines.at(-1)).toMatchObject({
      tallies: 1,
      msg: 'lost the usage of keys: the database is away',
    });
  });
});
