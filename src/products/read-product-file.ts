import { readFile, stat } from 'node:fs/promises';
import { isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml';
import { StartError } from '../errors.js';

/** No product needs more. A larger file is not a product file. */
export const productFileSizeMaxBytes = 256 * 1024;

/** The content of a file, not yet validated. */
export interface ReadFile {
  readonly value: unknown;
  /**
   * The line of a field, counted from 1. If the field is missing, the line of its nearest existing parent.
   */
  lineOf(path: readonly PropertyKey[]): number;
}

/**
 * Reads a product file: UTF-8, at most 256 KB, YAML 1.2 or JSON.
 * @throws StartError that names the file, and the line of a syntax error.
 */
export async function readProductFile(path: string): Promise<ReadFile> {
  const text = await readText(path);
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const [syntaxError] = [...document.errors, ...document.warnings];
    if (syntaxError !== undefined) {
      const { line, col } = lines.linePos(syntaxError.pos[0]);
      throw unreadable(path, `line ${line}, column ${col}: ${syntaxError.message}`);
    }
    // The YAML parser also accepts JSON, and tells lines, but it is less strict. A .json file must be valid
    // JSON.
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

/** @throws StartError with the position of the first error. Quotes of the file are cut from V8's message. */
function parseJson(path: string, text: string, lines: LineCounter): void {
  const message = findJsonMistake(text);
  if (message === null) return;
  const { line, col } = lines.linePos(findJsonMistakeOffset(text));
  const reason = message.replace(/,? (in JSON at position|after JSON at position|"|\.\.\.").*$/s, '');
  throw new StartError(
    `The product file ${path} is not valid JSON: line ${line}, column ${col}: ${reason}. Correct it, or save it as .yaml.`,
  );
}

/** V8's error message for a text, or null if it is valid JSON. */
function findJsonMistake(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Finds the length of the longest valid beginning of a JSON text. V8's message does not always have the
 * position.
 */
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
    // Checked before opening: opening a pipe would wait for its writer.
    if (!stats.isFile())
      throw new StartError(`The product file ${path} is not a file. Use a .yaml, .yml or .json file.`);
    if (stats.size > productFileSizeMaxBytes) {
      throw new StartError(
        `The product file ${path} has ${Math.ceil(stats.size / 1024)} KB, and the maximum is ` +
          `${productFileSizeMaxBytes / 1024} KB. Use one file per product.`,
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
    throw new StartError(`The product file ${path} is not valid UTF-8. Save it as UTF-8.`);
  }
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return "does not exist. Relative paths start at the server's working directory.";
    case 'EACCES':
    case 'EPERM':
      return 'is not readable for this process. Change its permissions.';
    default:
      return `cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Offset of a field in the text, in UTF-16 code units. */
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
