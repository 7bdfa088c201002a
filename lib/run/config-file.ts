/**
 * Options of a training run from a YAML or JSON file: the same names, the same checks as the flags.
 *
 * A file may come from anybody, so nothing in it is expanded or built: every option is one plain value, and only the
 * top-level mapping of the syntax tree is read. Aliases are followed to such a value and never multiplied. JSON is
 * YAML 1.2, so one parser gives both line numbers and finds what stands twice.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isAlias, isMap, isScalar, LineCounter, parseDocument, type Document, type Pair } from 'yaml';
import { LspError } from '../errors';
import { describe, expectString, invalid, unknownOption } from '../options';
import { toIoError } from '../disk/files';
import { parseBytes } from './memory-estimate';
import { checkTrainOption, metaOf, TRAIN_OPTION_NAMES, type TrainOptionName } from './train-options';

/** Far beyond any honest file; parsing so much takes some seconds at worst. */
const MAX_BYTES = 1e6;

const KEYS: readonly string[] = ['model', 'out', ...TRAIN_OPTION_NAMES];

const EXAMPLE = 'Write one option a line, such as `steps: 20`.';

/**
 * What a configuration file says: `model`, `out` and options of a run, each checked by itself. Paths in it are meant
 * from the current directory, as those of flags.
 *
 * @returns only what stands in the file, sizes as bytes
 * @throws LspError IO_ERROR, INVALID_ARGUMENT, UNKNOWN_OPTION, each with the file's name and line
 */
export function readConfigFile(path: string): Record<string, unknown> {
  const text = readText(path);
  const lines = new LineCounter();
  const document = parse(text, path, lines);
  const { contents } = document;
  if (contents === null) throw refusal(`Expected at least one option for \`${path}\` but received none.`);
  if (!isMap(contents)) throw invalid(path, 'a mapping of options to values', text.trim(), EXAMPLE);
  const options = new Map<string, unknown>();
  for (const pair of contents.items) {
    const name = nameOf(pair, path, lines);
    const place = `${path}:${lineOf(pair.key, lines)}`;
    if (!KEYS.includes(name)) throw unknown(name, place);
    if (options.has(name)) throw invalid(place, 'each option once', name, 'Remove one of the two lines.');
    options.set(name, checked(name, valueOf(pair, document, place), place));
  }
  return Object.fromEntries(options);
}

function readText(path: string): string {
  const bytes = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  try {
    // Without O_NONBLOCK a pipe that nobody writes to would hold the command for ever.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!fstatSync(file).isFile()) {
        const remedy = 'Give the path of a YAML or JSON file.';
        throw refusal(`Expected a regular file for \`${path}\` but received something else.`, remedy);
      }
      for (let read = -1; read !== 0 && length <= MAX_BYTES; length += read) {
        read = readSync(file, bytes, length, bytes.length - length, null);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw toIoError(error, 'read the configuration file', path);
  }
  if (length > MAX_BYTES) {
    const remedy = 'A configuration file holds options only, one a line.';
    throw refusal(`Expected at most 1 MB for \`${path}\` but received more.`, remedy);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  } catch (cause) {
    const remedy = 'Save the file as UTF-8.';
    throw refusal(`Expected text in UTF-8 for \`${path}\` but received other bytes.`, remedy, cause);
  }
}

function parse(text: string, path: string, lineCounter: LineCounter): Document.Parsed {
  let document: Document.Parsed;
  try {
    // Duplicates are looked for by the caller: the parser's own search takes quadratic time.
    document = parseDocument(text, { lineCounter, uniqueKeys: false, prettyErrors: false });
  } catch (cause) {
    // The parser is recursive: what is nested deeply enough may exhaust the stack.
    throw refusal(`Expected YAML or JSON for \`${path}\` but received neither.`, EXAMPLE, cause);
  }
  const [problem] = [...document.errors, ...document.warnings];
  if (!problem) return document;
  const { line } = lineCounter.linePos(problem.pos[0]);
  const isTooDeep = problem.message.includes('call stack');
  const reason = isTooDeep ? 'it is nested too deeply' : problem.message.replace(/\p{Cc}[^]*|\.$/gu, '');
  throw refusal(`Expected YAML or JSON for \`${path}:${line}\` but received something else: ${reason}.`);
}

function lineOf(node: unknown, lines: LineCounter): number {
  const range = (node as { range?: readonly number[] | null } | null)?.range;
  return range ? lines.linePos(range[0]!).line : 1;
}

function nameOf({ key }: Pair, path: string, lines: LineCounter): string {
  if (isScalar(key) && typeof key.value === 'string') return key.value;
  const place = `${path}:${lineOf(key, lines)}`;
  throw invalid(place, 'the name of an option before the colon', isScalar(key) ? key.value : key, EXAMPLE);
}

function valueOf({ value }: Pair, document: Document, place: string): unknown {
  const node = isAlias(value) ? value.resolve(document) : value;
  if (node === null || node === undefined) return null;
  if (isScalar(node)) return node.value;
  const received = isMap(node) ? 'a mapping' : isAlias(value) ? 'an alias of something else' : 'a list';
  throw refusal(`Expected a single value for \`${place}\` but received ${received}.`);
}

/** The value as the schema takes it. */
function checked(name: string, value: unknown, place: string): unknown {
  const shownAs = `${name} (${place})`;
  if (name === 'model' || name === 'out') return expectString(shownAs, value, { allowEmpty: false });
  const option = name as TrainOptionName;
  const isSize = metaOf(option).kind === 'bytes' && typeof value === 'string';
  const meant = isSize ? (parseBytes(value) ?? value) : value;
  checkTrainOption(option, meant, shownAs);
  return meant;
}

function unknown(name: string, place: string): LspError {
  if (name !== 'resume' && name !== 'config' && name !== 'json') return unknownOption(name, KEYS, place);
  return new LspError(
    'UNKNOWN_OPTION',
    `Expected a known option for \`${place}\` but received ${describe(name)}.`,
    { remedy: `It is a flag only: give --${name} on the command line.` },
  );
}

function refusal(message: string, remedy = EXAMPLE, cause?: unknown): LspError {
  return new LspError('INVALID_ARGUMENT', message, { remedy, cause });
}
