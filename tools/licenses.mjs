// Lists the packages of a production install with their licences.
//   node tools/licenses.mjs                 prints a table; exits with 1 if a licence is not allowed
//   node tools/licenses.mjs --sbom <file>   writes the bill of materials (CycloneDX, JSON)
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Licences that allow use and distribution without conditions on this project's own code. */
const allowed = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'Unlicense',
  'CC0-1.0',
  'PostgreSQL',
]);

const text = execFileSync('npm', ['sbom', '--omit=dev', '--sbom-format=cyclonedx', '--sbom-type=application'], {
  cwd: fileURLToPath(new URL('..', import.meta.url)),
  encoding: 'utf8',
  maxBuffer: 64_000_000,
});

const [option, path = 'sbom.cdx.json'] = process.argv.slice(2);
if (option === '--sbom') {
  writeFileSync(path, text);
  console.log(`${path}: CycloneDX, ${JSON.parse(text).components.length} packages`);
} else {
  const packages = JSON.parse(text)
    .components.map(({ name, version, licenses = [] }) => ({ name, version, license: licenseOf(licenses) }))
    .sort((one, other) => one.name.localeCompare(other.name, 'en'));
  for (const { name, version, license } of packages) console.log(`${name}@${version}  ${license}`);
  const refused = packages.filter(({ license }) => !isAllowed(license));
  console.log(`${packages.length} packages, ${refused.length} with a licence that is not allowed`);
  for (const { name, license } of refused) console.error(`${name}: ${license}`);
  process.exitCode = refused.length === 0 ? 0 : 1;
}

/** A CycloneDX licence is an SPDX id, a name or an SPDX expression. */
function licenseOf(licenses) {
  return (
    licenses.map(({ license, expression }) => expression ?? license?.id ?? license?.name ?? '').join(' AND ') ||
    'unknown'
  );
}

/** Of alternatives, one has to be allowed. */
function isAllowed(expression) {
  return expression
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((alternative) => alternative.split(' AND ').every((license) => allowed.has(license.trim())));
}
