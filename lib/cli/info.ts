/** `lsp info`: what a model is and what training it takes, from its headers alone. */
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { openModelSource, type ModelSource } from '../model/formats';
import { Tokenizer } from '../model/tokenizer';
import {
  checkpointBytes,
  estimateTrainingMemory,
  formatBytes,
  type MemoryEstimate,
} from '../run/memory-estimate';
import { resolveTrainOptions } from '../run/train-options';
import { workloadOf } from './training/workload';
import { localModel, MODEL_SOURCES } from './local-model';
import { Output, type Streams } from './output';

interface InfoFlags {
  json?: boolean;
  tensors?: boolean;
}

export function infoCommand(streams: Streams): Command {
  return new Command('info')
    .description('Show the configuration, tensors and tokenizer of a model, and what training it needs.')
    .argument('<source>', MODEL_SOURCES)
    .option('--tensors', 'list every tensor')
    .option('--json', 'machine-readable output')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lsp info model.gguf\n  $ lsp info --tensors --json model.gguf | jq .tensors[0]',
    )
    .action(async (source: string, flags: InfoFlags) => {
      const output = new Output({ json: flags.json ?? false, streams });
      showInfo(await localModel(source, output), flags, output);
    });
}

function showInfo(path: string, flags: InfoFlags, output: Output): void {
  const source = openModelSource(path);
  // What could not be loaded is no model to train: its tokenizer is tried as `load` does.
  const { vocabSize, eosTokenIds } = source.config;
  new Tokenizer(source.tokenizer, { vocabSize, eosTokenIds, path: source.path }).verify();
  const options = resolveTrainOptions({ threads: availableParallelism() });
  const memory = estimateTrainingMemory(source.config, workloadOf(source, options));
  const facts = {
    path: source.path,
    format: source.format,
    description: source.description,
    config: source.config,
    fileTypes: bytesByType(source),
    tokenizer: tokenizerFacts(source),
    training: { memory, checkpointBytes: checkpointBytes(source.config) },
  };
  output.value({ ...facts, ...(flags.tensors && { tensors: tensorTable(source) }) });
  if (output.json) return;
  output.line(output.bold(source.path));
  for (const [name, value] of rows(source, facts.fileTypes, facts.tokenizer)) {
    output.line(`  ${name.padEnd(18)}${value}`);
  }
  output.line();
  output.line(output.bold('Training with the default options'));
  for (const [name, value] of memoryRows(memory)) output.line(`  ${name.padEnd(18)}${value.padStart(10)}`);
  output.line(
    `  ${'each checkpoint'.padEnd(18)}${formatBytes(checkpointBytes(source.config)).padStart(10)} on disk`,
  );
  if (!flags.tensors) return;
  output.line();
  output.line(output.bold(`Tensors (${source.tensors.length})`));
  for (const { name, shape, type, bytes } of tensorTable(source)) {
    output.line(
      `  ${name.padEnd(52)}${shape.join(' × ').padEnd(16)}${type.padEnd(6)}${formatBytes(bytes).padStart(10)}`,
    );
  }
}

function rows(
  { description, config }: ModelSource,
  fileTypes: Record<string, number>,
  tokenizer: ReturnType<typeof tokenizerFacts>,
): [string, string][] {
  const kinds = Object.entries(fileTypes).map(([type, bytes]) => `${type} ${formatBytes(bytes)}`);
  const { numHeads, numKeyValueHeads, headSize } = config;
  return [
    ['model', description],
    ['parameters', `${(config.parameterCount / 1e6).toFixed(1)} million (stored as ${kinds.join(', ')})`],
    ['layers', String(config.numLayers)],
    ['hidden size', `${config.hiddenSize} (feed-forward ${config.intermediateSize})`],
    ['attention', `${numHeads} heads of ${headSize}, ${numKeyValueHeads} key-value heads`],
    ['context', `${config.maxPositions} tokens`],
    ['vocabulary', `${config.vocabSize} (${config.tiedEmbeddings ? 'tied' : 'untied'} embeddings)`],
    [
      'end of sequence',
      tokenizer.eos.map(({ id, text }) => `${id} ${JSON.stringify(text)}`).join(', ') || 'none',
    ],
    ['chat template', tokenizer.hasChatTemplate ? 'yes' : 'no: give prompts with --raw'],
  ];
}

function memoryRows(memory: MemoryEstimate): [string, string][] {
  const names: [keyof MemoryEstimate, string][] = [
    ['weights', 'weights (f32)'],
    ['reference', 'frozen reference'],
    ['gradients', 'gradients'],
    ['moments', 'AdamW moments'],
    ['activations', 'activations'],
    ['keyValueCache', 'key-value cache'],
    ['process', 'everything else'],
    ['total', 'at most'],
  ];
  return names.map(([key, name]) => [name, formatBytes(memory[key] ?? 0)]);
}

function tensorTable({ tensors }: ModelSource) {
  return tensors.map(({ name, shape, type, byteLength }) => ({ name, shape, type, bytes: byteLength }));
}

function bytesByType({ tensors }: ModelSource): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { type, byteLength } of tensors) result[type] = (result[type] ?? 0) + byteLength;
  return result;
}

function tokenizerFacts({ config, tokenizer }: ModelSource) {
  const added = (tokenizer.spec.added_tokens ?? []) as { id: number; content: string }[];
  const textOf = new Map(added.map(({ id, content }) => [id, content]));
  const model = tokenizer.spec.model as { type?: unknown } | undefined;
  return {
    type: typeof model?.type === 'string' ? model.type : 'unknown',
    vocabSize: config.vocabSize,
    addedTokens: added.length,
    bos: config.bosTokenId,
    eos: config.eosTokenIds.map((id) => ({ id, text: textOf.get(id) ?? '' })),
    hasChatTemplate: tokenizer.chatTemplate !== null,
  };
}
