/** safetensors headers and Hugging Face directories: sound ones are read, damaged ones are LspErrors. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LspError, type LspErrorCode } from '../../lib/errors';
import { openModelSource } from '../../lib/model/formats';
import { withModelFile } from '../../lib/model/formats/model-file';
import { readSafetensorsHeader } from '../../lib/model/formats/safetensors';
import { errorOf, expectError } from '../support/errors';
import { u64 } from '../support/tiny-gguf';
import type { tinyTokenizer } from '../support/tiny-model';
import { encodeSafetensors, seededUniform, writeTinyModel } from '../support/tiny-model';

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

let serial = 0;

function model(change: (directory: string) => void = () => undefined): string {
  const directory = writeTinyModel(join(root, `model-${serial++}`));
  change(directory);
  return directory;
}

function directoryInsteadOf(name: string): string {
  return model((directory) => {
    rmSync(join(directory, name));
    mkdirSync(join(directory, name));
  });
}

function editJson(directory: string, name: string, change: (value: Record<string, unknown>) => void): void {
  const file = join(directory, name);
  const value = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  change(value);
  writeFileSync(file, JSON.stringify(value));
}

const editConfig = (change: (config: Record<string, unknown>) => void) => () =>
  model((directory) => editJson(directory, 'config.json', change));
const config = (values: Record<string, unknown>) => editConfig((config) => Object.assign(config, values));
const tokenizer = (change: (spec: ReturnType<typeof tinyTokenizer>) => void) => () =>
  model((directory) => editJson(directory, 'tokenizer.json', change));

interface ShardIndex {
  weight_map: Record<string, string>;
}

/** The same weights in two shards. */
function sharded(change: (index: ShardIndex, directory: string) => void = () => undefined): string {
  return model((directory) => {
    const single = join(directory, 'model.safetensors');
    const bytes = readFileSync(single);
    const { tensors } = withModelFile(single, readSafetensorsHeader);
    const index: ShardIndex = { weight_map: {} };
    for (const [shard, part] of [tensors.slice(0, 5), tensors.slice(5)].entries()) {
      const name = `model-0000${shard + 1}-of-00002.safetensors`;
      const values = part.map(({ name: tensorName, shape, offset, byteLength }) => {
        const copy = Uint8Array.from(bytes.subarray(offset, offset + byteLength));
        return { name: tensorName, shape, values: new Float32Array(copy.buffer) };
      });
      writeFileSync(join(directory, name), encodeSafetensors(values));
      for (const entry of part) index.weight_map[entry.name] = name;
    }
    rmSync(single);
    change(index, directory);
    writeFileSync(join(directory, 'model.safetensors.index.json'), JSON.stringify(index));
  });
}

describe('a Hugging Face directory', () => {
  test('is read, in one file or in shards', () => {
    const single = openModelSource(model());
    expect(single.config).toMatchObject({
      numLayers: 2,
      eosTokenIds: [2, 0],
      bosTokenId: 1,
      ropeTheta: 10000,
    });
    expect(single.tokenizer.specialTokens.eos).toEqual({ id: 2, text: '<|im_end|>' });
    const shards = openModelSource(sharded());
    expect(shards.tensors.map(({ name }) => name).sort()).toEqual(
      single.tensors.map(({ name }) => name).sort(),
    );
    expect(shards.description).toContain('2 shards');
  });

  test('RoPE in the layouts of transformers 4 and 5', () => {
    const llama3 = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 256,
    };
    const expected = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 256 };
    const four = openModelSource(
      config({ rope_theta: 5e5, rope_scaling: { rope_type: 'llama3', ...llama3 } })(),
    );
    expect(four.config).toMatchObject({ ropeTheta: 5e5, ropeScaling: expected });
    const five = openModelSource(
      editConfig((values) => {
        delete values['rope_theta'];
        values['rope_parameters'] = { rope_type: 'llama3', rope_theta: 5e5, ...llama3 };
      })(),
    );
    expect(five.config).toMatchObject({ ropeTheta: 5e5, ropeScaling: expected });
    const plain = openModelSource(config({ rope_parameters: { rope_type: 'default', rope_theta: 7 } })());
    expect(plain.config.ropeTheta).toBe(7);
    expect(plain.config.ropeScaling).toBeUndefined();
  });

  test('the chat template: a file of its own comes first, a list names its default', () => {
    const own = model((directory) => writeFileSync(join(directory, 'chat_template.jinja'), 'own'));
    expect(openModelSource(own).tokenizer.chatTemplate).toBe('own');
    const list = model((directory) =>
      editJson(directory, 'tokenizer_config.json', (values) => {
        values['chat_template'] = [
          { name: 'tool_use', template: 'a' },
          { name: 'default', template: 'b' },
        ];
      }),
    );
    expect(openModelSource(list).tokenizer.chatTemplate).toBe('b');
    const json = model((directory) =>
      writeFileSync(join(directory, 'chat_template.json'), '{"chat_template":"c"}'),
    );
    expect(openModelSource(json).tokenizer.chatTemplate).toBe('c');
  });

  test('EOS ids of config.json serve without generation_config.json', () => {
    const directory = model((at) => rmSync(join(at, 'generation_config.json')));
    expect(openModelSource(directory).config.eosTokenIds).toEqual([2]);
  });

  test('an untied head is required when the configuration says untied', () => {
    const directory = writeTinyModel(join(root, 'untied'), { tiedEmbeddings: false });
    expect(openModelSource(directory).config.tiedEmbeddings).toBe(false);
    expectError(
      errorOf(() => openModelSource(config({ tie_word_embeddings: false })())),
      'INVALID_MODEL_FILE',
      /lm_head/,
    );
  });

  test.each<[string, () => string, LspErrorCode, RegExp]>([
    ['nothing there', () => join(root, 'nowhere'), 'IO_ERROR', /ENOENT/],
    [
      'empty directory',
      () => (mkdirSync(join(root, 'empty'), { recursive: true }), join(root, 'empty')),
      'INVALID_MODEL_FILE',
      /config.json/,
    ],
    [
      'a lone safetensors file',
      () => join(model(), 'model.safetensors'),
      'INVALID_MODEL_FILE',
      /only weights/,
    ],
    [
      'a loop of symbolic links',
      () => {
        symlinkSync(join(root, 'loop-b'), join(root, 'loop-a'));
        symlinkSync(join(root, 'loop-a'), join(root, 'loop-b'));
        return join(root, 'loop-a');
      },
      'IO_ERROR',
      /ELOOP/,
    ],
    ['a device', () => '/dev/zero', 'INVALID_MODEL_FILE', /expected a .gguf file/],
    [
      'a directory for config.json',
      () => directoryInsteadOf('config.json'),
      'INVALID_MODEL_FILE',
      /regular file/,
    ],
    [
      'a directory for the weights',
      () => directoryInsteadOf('model.safetensors'),
      'INVALID_MODEL_FILE',
      /regular file/,
    ],
    [
      'broken config.json',
      () => model((at) => writeFileSync(join(at, 'config.json'), '{')),
      'INVALID_MODEL_FILE',
      /valid JSON/,
    ],
    [
      'config.json with a key twice',
      () => model((at) => writeFileSync(join(at, 'config.json'), '{"a":1,"a":2}')),
      'INVALID_MODEL_FILE',
      /duplicate/,
    ],
    [
      'nesting bomb in config.json',
      () => model((at) => writeFileSync(join(at, 'config.json'), '['.repeat(1e6))),
      'INVALID_MODEL_FILE',
      /nesting/,
    ],
    [
      'config.json of 10 MB',
      () => model((at) => writeFileSync(join(at, 'config.json'), ' '.repeat(1e7))),
      'INVALID_MODEL_FILE',
      /at most/,
    ],
    [
      'another architecture',
      config({ architectures: ['MistralForCausalLM'], model_type: 'mistral' }),
      'UNSUPPORTED_MODEL',
      /MistralForCausalLM/,
    ],
    [
      'a classifier of tokens',
      config({ architectures: ['LlamaForTokenClassification'] }),
      'UNSUPPORTED_MODEL',
      /TokenClassification/,
    ],
    [
      "a family under another's type",
      config({ architectures: ['Qwen2ForCausalLM'] }),
      'UNSUPPORTED_MODEL',
      /model type is "llama"/,
    ],
    [
      'RoPE that differs between layers',
      config({ rope_parameters: { full_attention: { rope_type: 'default', rope_theta: 1e4 } } }),
      'UNSUPPORTED_MODEL',
      /differs between layers/,
    ],
    [
      'a RoPE factor without a type',
      config({ rope_scaling: { factor: 8 } }),
      'UNSUPPORTED_MODEL',
      /RoPE type/,
    ],
    ['layers with a window', config({ layer_types: ['sliding_attention'] }), 'UNSUPPORTED_MODEL', /sliding/],
    ['another model type', config({ model_type: 'gemma' }), 'UNSUPPORTED_MODEL', /gemma/],
    [
      'architectures as text',
      config({ architectures: 'LlamaForCausalLM' }),
      'INVALID_MODEL_FILE',
      /architectures/,
    ],
    ['attention bias', config({ attention_bias: true }), 'UNSUPPORTED_MODEL', /attention_bias/],
    ['MLP bias', config({ mlp_bias: true }), 'UNSUPPORTED_MODEL', /mlp_bias/],
    ['GELU', config({ hidden_act: 'gelu' }), 'UNSUPPORTED_MODEL', /hidden_act/],
    ['sliding window', config({ sliding_window: 4096 }), 'UNSUPPORTED_MODEL', /sliding_window/],
    ['quantized', config({ quantization_config: { bits: 4 } }), 'UNSUPPORTED_MODEL', /quantization_config/],
    ['YaRN', config({ rope_scaling: { rope_type: 'yarn', factor: 4 } }), 'UNSUPPORTED_MODEL', /yarn/],
    ['linear RoPE', config({ rope_scaling: { type: 'linear', factor: 4 } }), 'UNSUPPORTED_MODEL', /linear/],
    [
      'partial RoPE',
      config({ rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.5 } }),
      'UNSUPPORTED_MODEL',
      /partial/,
    ],
    [
      'RoPE scaling without its factor',
      config({ rope_scaling: { rope_type: 'llama3' } }),
      'INVALID_MODEL_FILE',
      /`factor` is missing/,
    ],
    ['RoPE scaling as text', config({ rope_scaling: 'llama3' }), 'INVALID_MODEL_FILE', /not an object/],
    ['no hidden size', config({ hidden_size: null }), 'INVALID_MODEL_FILE', /`hidden_size` is missing/],
    ['hidden size as text', config({ hidden_size: '32' }), 'INVALID_MODEL_FILE', /not a finite number/],
    ['hidden size off', config({ hidden_size: 64, head_dim: 16 }), 'INVALID_MODEL_FILE', /has the shape/],
    ['negative layers', config({ num_hidden_layers: -1 }), 'INVALID_MODEL_FILE', /numLayers/],
    ['a billion layers', config({ num_hidden_layers: 1e9 }), 'INVALID_MODEL_FILE', /numLayers/],
    ['1000 layers', config({ num_hidden_layers: 1000 }), 'INVALID_MODEL_FILE', /1000 layers need/],
    ['one layer too many', config({ num_hidden_layers: 3 }), 'INVALID_MODEL_FILE', /layers|missing/],
    ['one layer too few', config({ num_hidden_layers: 1 }), 'INVALID_MODEL_FILE', /belongs to no part/],
    ['huge head size', config({ head_dim: 2 ** 40 }), 'INVALID_MODEL_FILE', /headSize/],
    ['odd head size', config({ head_dim: 7 }), 'INVALID_MODEL_FILE', /odd/],
    [
      'heads that do not divide',
      config({ num_key_value_heads: 3 }),
      'INVALID_MODEL_FILE',
      /3 key-value heads/,
    ],
    [
      'NaN is not JSON',
      () => model((at) => writeFileSync(join(at, 'config.json'), '{"rms_norm_eps":NaN}')),
      'INVALID_MODEL_FILE',
      /valid JSON/,
    ],
    ['RoPE base of -1', config({ rope_theta: -1 }), 'INVALID_MODEL_FILE', /RoPE base/],
    [
      'EOS outside the vocabulary',
      () =>
        model((at) => editJson(at, 'generation_config.json', (values) => (values['eos_token_id'] = 5000))),
      'INVALID_MODEL_FILE',
      /5000/,
    ],
    [
      'vocabulary larger than the embedding',
      config({ vocab_size: 300 }),
      'INVALID_MODEL_FILE',
      /has the shape/,
    ],
    [
      'tokenizer larger than the embedding',
      () =>
        model((at) =>
          editJson(
            at,
            'tokenizer.json',
            (spec) => ((spec['model'] as { vocab: Record<string, number> }).vocab['zz'] = 288),
          ),
        ),
      'INVALID_MODEL_FILE',
      /288/,
    ],
    [
      'two tokens with one id',
      () =>
        model((at) =>
          editJson(
            at,
            'tokenizer.json',
            (spec) => ((spec['model'] as { vocab: Record<string, number> }).vocab['zz'] = 5),
          ),
        ),
      'INVALID_MODEL_FILE',
      /two tokens have the id 5/,
    ],
    [
      'no tokenizer',
      () => model((at) => rmSync(join(at, 'tokenizer.json'))),
      'UNSUPPORTED_MODEL',
      /tokenizer.json/,
    ],
    [
      'broken tokenizer',
      () => model((at) => truncateSync(join(at, 'tokenizer.json'), 100)),
      'INVALID_MODEL_FILE',
      /valid JSON/,
    ],
    ['tokenizer without a model', tokenizer((spec) => delete spec['model']), 'INVALID_MODEL_FILE', /`model`/],
    [
      'WordPiece',
      tokenizer((spec) => ((spec['model'] as { type: string }).type = 'WordPiece')),
      'UNSUPPORTED_MODEL',
      /WordPiece/,
    ],
    [
      'added token with a bad id',
      tokenizer((spec) => ((spec['added_tokens'] as { id: unknown }[])[0]!.id = 4e9)),
      'INVALID_MODEL_FILE',
      /4000000000/,
    ],
    [
      'BOS that is no token',
      () =>
        model((at) => editJson(at, 'tokenizer_config.json', (values) => (values['bos_token'] = '<nope>'))),
      'INVALID_MODEL_FILE',
      /<nope>/,
    ],
    [
      'chat template as number',
      () => model((at) => editJson(at, 'tokenizer_config.json', (values) => (values['chat_template'] = 3))),
      'INVALID_MODEL_FILE',
      /chat_template/,
    ],
    [
      'no weights',
      () => model((at) => rmSync(join(at, 'model.safetensors'))),
      'UNSUPPORTED_MODEL',
      /neither/,
    ],
    [
      'truncated weights',
      () => model((at) => truncateSync(join(at, 'model.safetensors'), 5000)),
      'INVALID_MODEL_FILE',
      /ends at byte|only/,
    ],
    [
      'shard that leads out',
      () => sharded((index) => (index.weight_map['model.norm.weight'] = '../x.safetensors')),
      'INVALID_MODEL_FILE',
      /said to lie in/,
    ],
    [
      'shard with an absolute path',
      () => sharded((index) => (index.weight_map['model.norm.weight'] = '/etc/x.safetensors')),
      'INVALID_MODEL_FILE',
      /said to lie in/,
    ],
    [
      'shard that is a number',
      () => sharded((index) => (index.weight_map['model.norm.weight'] = 3 as unknown as string)),
      'INVALID_MODEL_FILE',
      /said to lie in/,
    ],
    [
      'missing shard',
      () => sharded((_, at) => rmSync(join(at, 'model-00002-of-00002.safetensors'))),
      'IO_ERROR',
      /ENOENT/,
    ],
    [
      'tensor that its shard lacks',
      () => sharded((index) => (index.weight_map['extra'] = 'model-00001-of-00002.safetensors')),
      'INVALID_MODEL_FILE',
      /`extra` should be there/,
    ],
    [
      'tensor that the index lacks',
      () => sharded((index) => delete index.weight_map['model.norm.weight']),
      'INVALID_MODEL_FILE',
      /not there by/,
    ],
    [
      'one tensor in two shards',
      () =>
        sharded((_, at) =>
          copyFileSync(
            join(at, 'model-00001-of-00002.safetensors'),
            join(at, 'model-00002-of-00002.safetensors'),
          ),
        ),
      'INVALID_MODEL_FILE',
      /not there by/,
    ],
    [
      'index without a map',
      () => sharded((index) => delete (index as Partial<ShardIndex>).weight_map),
      'INVALID_MODEL_FILE',
      /weight_map/,
    ],
  ])('%s', (_, make, code, message) => {
    expectError(
      errorOf(() => openModelSource(make())),
      code,
      message,
    );
  });

  test('an integer type where weights belong', () => {
    const directory = model((at) => {
      const file = join(at, 'model.safetensors');
      const bytes = readFileSync(file);
      const text = bytes.toString('latin1').replace('"F32"', '"I32"');
      writeFileSync(file, Buffer.from(text, 'latin1'));
    });
    expectError(
      errorOf(() => openModelSource(directory)),
      'UNSUPPORTED_MODEL',
      /stored as I32/,
    );
  });

  test('random damage of the weights gives an LspError or a model', () => {
    const directory = model();
    const file = join(directory, 'model.safetensors');
    const whole = readFileSync(file);
    const headerLength = Number(whole.readBigUInt64LE(0)) + 8;
    const random = seededUniform(5);
    let failures = 0;
    for (let round = 0; round < 600; round += 1) {
      const bytes = Buffer.from(whole);
      for (let flip = 0; flip < 1 + Math.floor(random() * 3); flip += 1) {
        const at = Math.floor(random() * headerLength);
        bytes[at] = random() < 0.5 ? Math.floor(random() * 256) : bytes[at]! ^ 1;
      }
      writeFileSync(file, bytes);
      try {
        openModelSource(directory);
      } catch (error) {
        failures += 1;
        if (!(error instanceof LspError)) throw error;
        expect(error.message).not.toContain('could not be read');
      }
    }
    expect(failures).toBeGreaterThan(300);
  });
});
