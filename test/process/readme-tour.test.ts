import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { describe, expect } from 'vitest';
import { freePort, patience, test } from './server-process.js';

interface Step {
  /** Commands to paste into the second terminal. */
  readonly script: string;
  /** The output that the page shows; null if it shows none. */
  readonly shown: string | null;
}

/** The first tour of README: the commands for the first terminal, and the steps for the second. */
async function readTour(): Promise<{ firstTerminal: string; steps: Step[] }> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const tour = /^## A first tour\n([\s\S]*?)^## /m.exec(readme)?.[1] ?? '';
  const firstTerminal = /```sh\n([\s\S]*?)```/.exec(tour)?.[1] ?? '';
  const steps = [...tour.matchAll(/```bash\n(?<script>[\s\S]*?)```(?:\n\n```text\n(?<shown>[\s\S]*?)```)?/g)];
  return {
    firstTerminal,
    steps: steps.map(({ groups }) => ({ script: groups?.script ?? '', shown: groups?.shown ?? null })),
  };
}

/** Runs a script in one bash that stops at the first failure. */
async function runBash(script: string, folder: string, port: number): Promise<string> {
  const bash = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr] = await Promise.all([text(bash.stdout), text(bash.stderr)]);
  if (stderr !== '') throw new Error(`The tour complains: ${stderr}`);
  return stdout;
}

/** Ids, secrets and times differ from run to run, and the width of a terminal decides where lines break. */
function withoutChance(output: string): string {
  return output
    .replaceAll(/key_[0-9a-f]{32}/g, 'KEY')
    .replaceAll(/tk_live_\w{36}/g, 'SECRET')
    .replaceAll(/whsec_[\w+/=]{44}/g, 'SIGNING_SECRET')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]{12}Z/g, 'TIME')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

const mark = '-- end of step --';

describe('the first tour of README', patience, () => {
  test('runs unchanged and prints the output that the page shows', async ({ folder, startServer }) => {
    const { firstTerminal, steps } = await readTour();
    expect(steps.length).toBeGreaterThan(6);
    const port = await freePort();
    // The line that installs and starts is left out: the test has installed and starts the same server
    // itself.
    await runBash(firstTerminal.replace('npm ci && npm start\n', ''), folder, port);
    await startServer({ PORT: String(port) });

    const script = steps.map((step) => `${step.script}echo '${mark}'\n`).join('');
    const outputs = (await runBash(script, folder, port)).split(mark);
    expect(outputs.slice(0, steps.length).map(withoutChance)).toEqual(
      steps.map(({ shown }) => withoutChance(shown ?? '')),
    );
  });
});
