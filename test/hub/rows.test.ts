/** Data files: sound ones of every format as records, and every kind of damage as an error with its place. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { readRows } from '../../lib/hub/rows';
import { expectError, rejectionOf } from '../support/errors';

const directory = mkdtempSync(join(tmpdir(), 'lsp-rows-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const table = (compression: string) => join(__dirname, '../fixtures/tables', `${compression}.parquet`);

/** As test/fixtures/make_tables.py wrote it. */
const TABLE = [
  {
    question: 'What is 2 + 2?',
    answer: '4\n#### 4',
    count: 1,
    share: 0.5,
    good: true,
    tags: ['a', 'b'],
    source: { name: 'n', page: 1 },
    when: '2026-01-02T03:04:05.000Z',
    bytes: [0, 255],
  },
  {
    question: 'Größer?\nZwei Zeilen.',
    answer: null,
    count: -2,
    share: -0.25,
    good: false,
    tags: [],
    source: { name: 'm', page: null },
    when: '2026-01-02T03:04:05.000Z',
    bytes: [],
  },
  {
    question: '数',
    answer: '一',
    count: 2 ** 53 - 1,
    share: 1e300,
    good: null,
    tags: null,
    source: null,
    when: '2026-01-02T03:04:05.000Z',
    bytes: null,
  },
  {
    question: '',
    answer: 'x'.repeat(300),
    count: '9007199254740993',
    share: null,
    good: true,
    tags: ['c'],
    source: { name: null, page: 3 },
    when: '2026-01-02T03:04:05.000Z',
    bytes: [1],
  },
];

describe('records of', () => {
  test('JSON lines, with a byte-order mark, empty lines, Windows line ends and no last line end', async () => {
    const path = file('a.jsonl', '\ufeff{"a": 1}\r\n\r\n{"a": "ü\\n"}\n  \n{"a": null}');
    expect(await readRows(path)).toEqual([{ a: 1 }, { a: 'ü\n' }, { a: null }]);
  });

  test('a JSON array', async () => {
    expect(await readRows(file('a.json', '[{"a": 1},\n {"b": [2]}]'))).toEqual([{ a: 1 }, { b: [2] }]);
  });

  test.each(['none', 'snappy', 'gzip', 'brotli'])('a Parquet table, compression %s', async (compression) => {
    expect(await readRows(table(compression))).toEqual(TABLE);
  });

  test('a Parquet table compressed by Zstandard, where Node.js can undo that', async () => {
    const rows = readRows(table('zstd'));
    if ('zstdDecompressSync' in zlib) expect(await rows).toEqual(TABLE);
    else expectError(await rejectionOf(rows), 'INVALID_ARGUMENT', /zstd\.parquet.*ZSTD/);
  });
});

const DAMAGE: [string, string, string | Uint8Array, RegExp][] = [
  ['another name', 'a.csv', 'a,b', /\.jsonl, \.json or \.parquet .* "[^"]*a\.csv"/],
  ['an empty file', 'empty.jsonl', '\n\n', /at least one record in .*empty\.jsonl/],
  ['an empty array', 'empty.json', '[]', /at least one record/],
  [
    'a torn line',
    'torn.jsonl',
    '{"a": 1}\n\n{"a": ',
    /JSON in line 3 of .*torn\.jsonl but received "\{\\"a\\": "/,
  ],
  ['a number among lines', 'number.jsonl', '{"a": 1}\n7', /a JSON object in line 2 of .* but received 7/],
  ['an array among lines', 'array.jsonl', '[1]', /line 1 of .* an array of length 1/],
  ['no array', 'object.json', '{"a": 1}', /an array of objects in .* but received an object/],
  ['JSON lines called .json', 'lines.json', '{"a": 1}\n{"a": 2}\n', /a syntax error at line 2/],
  ['an array that ends early', 'early.json', '[{"a": 1},\n{"a"', /a syntax error at line 2/],
  ['a wrong record', 'wrong.json', '[{"a": 1}, "b"]', /record 1 of .*wrong\.json but received "b"/],
  ['bytes that are no text', 'bytes.jsonl', Buffer.from([0x7b, 0xff, 0x7d]), /UTF-8 text/],
  ['text called .parquet', 'text.parquet', 'no table at all, just text', /a sound Parquet table/],
  ['an empty .parquet', 'empty.parquet', '', /a sound Parquet table/],
  ['a cut table', 'cut.parquet', readFileSync(table('snappy')).subarray(0, 900), /a sound Parquet table/],
  [
    'a table with damaged data',
    'damaged.parquet',
    readFileSync(table('gzip')).fill(0x55, 4, 400),
    /a sound Parquet table in .*damaged\.parquet/,
  ],
];

describe('an error for', () => {
  test.each(DAMAGE)('%s', async (_, name, content, message) => {
    expectError(await rejectionOf(readRows(file(name, content))), 'INVALID_ARGUMENT', message);
  });

  test('a compression that is not there', async () => {
    expectError(await rejectionOf(readRows(table('lz4'))), 'INVALID_ARGUMENT', /LZ4/);
  });

  test('nothing there, a folder, an unknown option', async () => {
    expectError(await rejectionOf(readRows(join(directory, 'no.jsonl'))), 'IO_ERROR', /no\.jsonl: ENOENT/);
    const folder = join(directory, 'folder.jsonl');
    mkdirSync(folder);
    expectError(
      await rejectionOf(readRows(folder)),
      'INVALID_ARGUMENT',
      /a file in .* but received a folder/,
    );
    const wrong = readRows(file('a.jsonl', '{}'), { singal: undefined } as never);
    expectError(await rejectionOf(wrong), 'UNKNOWN_OPTION', /Did you mean `signal`/);
  });

  test('a file beyond what is read', async () => {
    const path = file('large.jsonl', '');
    truncateSync(path, 257 * 2 ** 20);
    expectError(await rejectionOf(readRows(path)), 'INVALID_ARGUMENT', /at most 268435456 bytes/);
  });
});

test('an aborted signal rejects with its reason', async () => {
  const reason = new Error('enough');
  const path = file('a.jsonl', '{"a": 1}\n');
  await expect(readRows(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  const reading = readRows(path, { signal: controller.signal });
  controller.abort(reason);
  await expect(reading).rejects.toBe(reason);
});
