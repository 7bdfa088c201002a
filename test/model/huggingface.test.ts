/** Hugging Face directories that are sound, in all the layouts that are read; see huggingface-damage.test.ts. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openModelSource } from '../../lib/model/formats';
import { errorOf, expectError } from '../support/errors';
import { writeTinyModel } from '../support/tiny-model';
import { useDirectories } from './directories';

const { root, model, sharded, editJson, editConfig, config } = useDirectories();

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
});
