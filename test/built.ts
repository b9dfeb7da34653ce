import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Builds dist/ if it is missing, for tests that start processes: `npx vitest run <file>` does not build it.
 */
export function ensureBuilt(): void {
  if (existsSync(join(root, 'dist/main.js'))) return;
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
}
