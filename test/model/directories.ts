/** Directories in the layout of Hugging Face, each with a tiny model of its own, changed as a test wants. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withModelFile } from '../../lib/model/formats/model-file';
import { readSafetensorsHeader } from '../../lib/model/formats/safetensors';
import type { tinyTokenizer } from '../support/tiny-model';
import { encodeSafetensors, writeTinyModel } from '../support/tiny-model';

export interface ShardIndex {
  weight_map: Record<string, string>;
}

/** Makers of such directories beneath `root`, which is removed after the tests of a file. */
export function useDirectories() {
  const root = mkdtempSync(join(tmpdir(), 'lsp-directories-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
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

  return { root, model, sharded, directoryInsteadOf, editJson, editConfig, config, tokenizer };
}
