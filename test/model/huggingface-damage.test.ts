/** Hugging Face directories that are damaged, or of models that this version does not run: LspErrors. */
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { LspError, type LspErrorCode } from '../../lib/errors';
import { openModelSource } from '../../lib/model/formats';
import { errorOf, expectError } from '../support/errors';
import { seededUniform } from '../support/tiny-model';
import { useDirectories, type ShardIndex } from './directories';

const { root, model, sharded, directoryInsteadOf, editJson, config, tokenizer } = useDirectories();

describe('a Hugging Face directory', () => {
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
