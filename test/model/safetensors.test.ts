/** The headers of safetensors files: sound ones are read, damaged ones are LspErrors. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withModelFile } from '../../lib/model/formats/model-file';
import { readSafetensorsHeader } from '../../lib/model/formats/safetensors';
import { errorOf, expectError } from '../support/errors';
import { u64 } from '../support/tiny-gguf';
import { encodeSafetensors } from '../support/tiny-model';

const root = mkdtempSync(join(tmpdir(), 'lsp-safetensors-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const path = join(root, 'file.safetensors');

function readBytes(bytes: Buffer) {
  writeFileSync(path, bytes);
  return withModelFile(path, readSafetensorsHeader);
}

/** A file with this header text and so many bytes of data. */
function withHeader(header: unknown, dataLength = 0): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return Buffer.concat([u64(text.length), text, Buffer.alloc(dataLength)]);
}

const tensor = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({
  dtype,
  shape,
  data_offsets: offsets,
});

describe('a safetensors header', () => {
  test('a sound file', () => {
    const values = new Float32Array(6);
    const header = readBytes(encodeSafetensors([{ name: 'a', shape: [2, 3], values }]));
    expect(header.metadata).toMatchObject({ format: 'pt' });
    expect(header.tensors).toMatchObject([{ name: 'a', dtype: 'F32', shape: [2, 3], byteLength: 24 }]);
  });

  test('scalars, empty tensors and other types are described', () => {
    const header = readBytes(withHeader({ s: tensor([], [0, 8], 'I64'), e: tensor([0, 3], [8, 8]) }, 8));
    expect(header.tensors.map(({ byteLength }) => byteLength)).toEqual([8, 0]);
  });

  test.each<[string, Buffer, RegExp]>([
    ['empty file', Buffer.alloc(0), /only 0 bytes/],
    ['seven bytes', Buffer.alloc(7), /only 7 bytes/],
    ['header longer than the file', Buffer.concat([u64(1000), Buffer.from('{}')]), /claims 1000 bytes/],
    [
      'header of 2^63 bytes',
      Buffer.concat([u64(2n ** 63n), Buffer.from('{}')]),
      /claims 9223372036854775808/,
    ],
    ['empty header', withHeader(''), /not valid JSON/],
    ['an array', withHeader('[]'), /not a JSON object/],
    ['null', withHeader('null'), /not a JSON object/],
    ['half an object', withHeader('{"a":'), /not valid JSON/],
    ['text after the object', withHeader('{}x'), /text after/],
    ['not UTF-8', Buffer.concat([u64(4), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])]), /not UTF-8/],
    ['control character in a name', withHeader('{"a\n":1}'), /control character/],
    [
      'duplicate tensor',
      withHeader(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
      ),
      /duplicate key "a"/,
    ],
    [
      'duplicate name through an escape',
      withHeader(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        8,
      ),
      /duplicate key "a"/,
    ],
    [
      'duplicate field',
      withHeader('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}', 4),
      /duplicate/,
    ],
    ['deep nesting', withHeader(`{"a":${'['.repeat(100_000)}`), /nesting deeper/],
    ['a tensor that is a number', withHeader({ a: 3 }), /not described by an object/],
    ['unknown field', withHeader({ a: { ...tensor([1], [0, 4]), x: 1 } }, 4), /unknown field `x`/],
    ['unknown type', withHeader({ a: tensor([1], [0, 4], 'F31') }, 4), /unknown type "F31"/],
    ['type as number', withHeader({ a: tensor([1], [0, 4], 4) }, 4), /unknown type 4/],
    ['no shape', withHeader({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4), /proper shape/],
    ['shape as text', withHeader({ a: tensor('1', [0, 4]) }, 4), /proper shape/],
    ['negative length', withHeader({ a: tensor([-1], [0, 4]) }, 4), /impossible shape/],
    ['fraction as length', withHeader({ a: tensor([1.5], [0, 6]) }, 6), /impossible shape/],
    ['shape beyond 2^53', withHeader({ a: tensor([2 ** 31, 2 ** 31], [0, 4]) }, 4), /impossible shape/],
    ['shape of 2^64 values', withHeader({ a: tensor([2 ** 32, 2 ** 32], [0, 0]) }), /impossible shape/],
    ['rank 9', withHeader({ a: tensor([1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 4]) }, 4), /proper shape/],
    ['one offset', withHeader({ a: tensor([1], [0]) }, 4), /proper data_offsets/],
    ['offsets the wrong way round', withHeader({ a: tensor([1], [4, 0]) }, 4), /impossible data_offsets/],
    ['negative offset', withHeader({ a: tensor([1], [-4, 0]) }, 4), /impossible data_offsets/],
    ['offset as text', withHeader({ a: tensor([1], ['0', 4]) }, 4), /impossible data_offsets/],
    [
      'offset as 1e999',
      withHeader('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e999]}}', 4),
      /impossible/,
    ],
    ['too few bytes for the shape', withHeader({ a: tensor([2], [0, 4]) }, 4), /4 bytes, not the 8/],
    ['beyond the end', withHeader({ a: tensor([1], [0, 4]) }, 3), /ends at byte/],
    ['far beyond the end', withHeader({ a: tensor([2 ** 40], [0, 2 ** 42]) }, 4), /ends at byte/],
    ['overlap', withHeader({ a: tensor([2], [0, 8]), b: tensor([2], [4, 12]) }, 12), /overlaps/],
    ['same bytes twice', withHeader({ a: tensor([2], [0, 8]), b: tensor([2], [0, 8]) }, 8), /overlaps/],
    ['hole', withHeader({ a: tensor([1], [0, 4]), b: tensor([1], [8, 12]) }, 12), /belong to none/],
    ['bytes after the last tensor', withHeader({ a: tensor([1], [0, 4]) }, 5), /belong to no tensor/],
    ['metadata as text', withHeader({ __metadata__: 'x' }), /__metadata__/],
    ['metadata value as number', withHeader({ __metadata__: { x: 1 } }), /__metadata__.x/],
    ['unquoted key', withHeader('{a:1}'), /key in quotes/],
    ['bad number', withHeader('{"a":01}'), /not valid JSON/],
    ['bad escape', withHeader('{"\\q":1}'), /bad escape/],
  ])('%s', (_, bytes, message) => {
    expectError(
      errorOf(() => readBytes(bytes)),
      'INVALID_MODEL_FILE',
      message,
    );
  });

  test('a header bomb in a sparse file of a terabyte is refused at once', () => {
    writeFileSync(path, u64(2 ** 40 - 8));
    truncateSync(path, 2 ** 40);
    const started = performance.now();
    expectError(
      errorOf(() => withModelFile(path, readSafetensorsHeader)),
      'INVALID_MODEL_FILE',
      /at most/,
    );
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test('names such as __proto__ are names like any other', () => {
    const bytes = withHeader('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4);
    expect(readBytes(bytes).tensors.map(({ name }) => name)).toEqual(['__proto__']);
    expect(({} as { dtype?: unknown }).dtype).toBeUndefined();
  });
});
