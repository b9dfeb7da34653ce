import { readFile, stat } from 'node:fs/promises';
import { isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml';
import { StartError } from '../errors.js';

/** No product needs more, and a file that is larger is another file. */
export const productFileSizeMaxBytes = 256 * 1024;

/** What a file holds, not yet checked. */
export interface ReadFile {
  readonly value: unknown;
  /** The line, counted from 1, on which a field stands, or its nearest parent that is there. */
  lineOf(path: readonly PropertyKey[]): number;
}

/**
 * Reads a product file: UTF-8, at most 256 KB, YAML 1.2 or JSON.
 * @throws StartError naming the file, and the line where it is neither.
 */
export async function readProductFile(path: string): Promise<ReadFile> {
  const text = await readText(path);
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const [mistake] = [...document.errors, ...document.warnings];
    if (mistake !== undefined) {
      const { line, col } = lines.linePos(mistake.pos[0]);
      throw unreadable(path, `line ${line}, column ${col}: ${mistake.message}`);
    }
    // YAML takes all JSON and forgives more, and it alone tells lines. A file that calls itself JSON must be JSON.
    if (path.toLowerCase().endsWith('.json')) parseJson(path, text, lines);
    return {
      value: document.toJS({ maxAliasCount: 100 }),
      lineOf: (fieldPath) => lines.linePos(offsetOf(document.contents, fieldPath)).line,
    };
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw unreadable(path, error instanceof Error ? error.message : String(error));
  }
}

function unreadable(path: string, reason: string): StartError {
  return new StartError(`The product file ${path} cannot be read as YAML or JSON: ${reason}`);
}

/** @throws StartError with the place of the first mistake. The engine's own words are cut where they quote the file. */
function parseJson(path: string, text: string, lines: LineCounter): void {
  const message = findJsonMistake(text);
  if (message === null) return;
  const { line, col } = lines.linePos(findJsonMistakeOffset(text));
  const reason = message.replace(/,? (in JSON at position|after JSON at position|"|\.\.\.").*$/s, '');
  throw new StartError(
    `The product file ${path} is not JSON: line ${line}, column ${col}: ${reason}. Correct it, or save it as .yaml.`,
  );
}

/** What the engine says against a text, or null where it is JSON. */
function findJsonMistake(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Finds the longest beginning of a text that JSON could still continue. The engine does not always tell where it stopped. */
function findJsonMistakeOffset(text: string): number {
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isOnlyCutShort(text.slice(0, middle + 1))) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isOnlyCutShort(beginning: string): boolean {
  const message = findJsonMistake(beginning);
  if (message === null || /^Unexpected end|^Unterminated/.test(message)) return true;
  return Number(/at position (\d+)/.exec(message)?.[1]) === beginning.length;
}

async function readText(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    const stats = await stat(path);
    // Asked before opening: to open a pipe would wait for whoever writes to it.
    if (!stats.isFile())
      throw new StartError(`The product file ${path} is not a file. Name a .yaml, .yml or .json file.`);
    if (stats.size > productFileSizeMaxBytes) {
      throw new StartError(
        `The product file ${path} has ${Math.ceil(stats.size / 1024)} KB, and at most ${productFileSizeMaxBytes / 1024} KB are read. Name a file that describes one product.`,
      );
    }
    bytes = await readFile(path);
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`The product file ${path} ${whyNot(error)}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new StartError(`The product file ${path} is not text in UTF-8. Save it as UTF-8.`);
  }
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'does not exist. Paths are relative to the folder in which the server starts.';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this process. Change its permissions.';
    default:
      return `cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Where in the text a field begins, in UTF-16 code units. */
function offsetOf(contents: ParsedNode | Node | null, path: readonly PropertyKey[]): number {
  let node: unknown = contents;
  let offset = contents?.range?.[0] ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
      if (pair === undefined) break;
      offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      const item = node.items[step];
      if (!isScalar(item) && !isMap(item) && !isSeq(item)) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}
