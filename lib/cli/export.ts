/**
 * `lsp export`: a model, with an adapter added to its weights, as a Hugging Face directory. What has been written is
 * loaded again and compared with what was to be written: an export that differs is found here, not in production.
 */
import { Command } from 'commander';
import { LspError } from '../errors';
import { LanguageModel, type LanguageModelLoadOptions } from '../model/language-model';
import type { SavedType } from '../model/save';
import { expectInteger, expectOneOf } from '../options';
import { ADAPTER_FLAG, localModel, MODEL_SOURCES } from './local-model';
import { Output, type Streams } from './output';
import { stopOnSignals } from './signals';
import { checkUsage, numberFlag } from './usage';

interface ExportFlags {
  model: string;
  adapter?: string;
  out: string;
  dtype: SavedType;
  threads?: number;
  json?: boolean;
}

/** Tokens that both models score. */
const SCORED_TOKENS = 64;
/**
 * Largest difference of a log-probability. Merging adds once per weight what the adapter adds once per layer: rounding,
 * some 1e-5 on these sums. Half precisions keep 11 and 8 bits of a weight: their errors add up at random over layers.
 */
const TOLERANCES: Readonly<Record<SavedType, number>> = { f32: 1e-2, f16: 0.1, bf16: 1 };

export function exportCommand(streams: Streams): Command {
  return new Command('export')
    .description('Write a model, with a LoRA adapter merged into it, as a Hugging Face directory.')
    .requiredOption('--model <source>', MODEL_SOURCES)
    .option(...ADAPTER_FLAG)
    .requiredOption('--out <dir>', 'directory to make')
    .option('--dtype <f32|f16|bf16>', 'type of the stored values', 'f32')
    .option('--threads <n>', 'compute threads (default: all cores)', numberFlag)
    .option('--json', 'machine-readable output')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lsp export --model model.gguf --out model/' +
        '\n  $ lsp export --model model/ --adapter runs/first/checkpoints/step-000020/adapter --out merged/',
    )
    .action(async (flags: ExportFlags) => {
      await exportModel(flags, new Output({ json: flags.json ?? false, streams }));
    });
}

async function exportModel(flags: ExportFlags, output: Output): Promise<void> {
  const { adapter, out, threads } = flags;
  const dtype = checkUsage(() => {
    if (threads !== undefined) expectInteger('threads', threads, { min: 1, max: 256 });
    return expectOneOf('dtype', flags.dtype, ['f32', 'f16', 'bf16']);
  });
  const stopper = stopOnSignals();
  const { signal } = stopper;
  try {
    const options = { signal, ...(threads !== undefined && { threads }) };
    const path = await localModel(flags.model, output, signal);
    const written = await writeMerged(path, { ...options, ...(adapter !== undefined && { adapter }) }, { out, dtype });
    await using saved = await LanguageModel.load(out, { ...options, dtype: 'f32' });
    const largest = await largestDifference(saved, written, signal);
    output.value({ out, dtype, adapter: adapter ?? null, largestDifference: largest });
    if (largest > TOLERANCES[dtype]) throw differs(out, largest);
    output.line(`Written:   ${out} (${dtype})`);
    output.line(`Compared:  log-probabilities differ by at most ${largest.toExponential(1)}`);
  } finally {
    stopper.release();
  }
}

/** Tokens, and what the exported model must give for them. */
interface Scored {
  tokens: Int32Array;
  logprobs: Float32Array;
}

/** Saves, and tells what the model gives for some tokens. */
async function writeMerged(
  source: string,
  options: LanguageModelLoadOptions,
  { out, dtype }: Pick<ExportFlags, 'out' | 'dtype'>,
): Promise<Scored> {
  const { signal } = options;
  await using model = await LanguageModel.load(source, { ...options, dtype: 'f32' });
  const { vocabSize, maxPositions } = model.config;
  const length = Math.min(SCORED_TOKENS, maxPositions);
  // Spread over the vocabulary, so that much of the embedding is looked at.
  const tokens = Int32Array.from({ length }, (_, i) => (i * 7919 + 13) % vocabSize);
  const [logprobs] = await model.logprobs([tokens], { signal });
  await model.save(out, { dtype, signal });
  return { tokens, logprobs: logprobs! };
}

async function largestDifference(model: LanguageModel, scored: Scored, signal: AbortSignal): Promise<number> {
  const [again] = await model.logprobs([scored.tokens], { signal });
  return again!.reduce((most, value, i) => Math.max(most, Math.abs(value - scored.logprobs[i]!)), 0);
}

function differs(out: string, difference: number): LspError {
  return new LspError(
    'INTERNAL',
    `Expected the model in ${out} to compute what was exported but its log-probabilities differ by ${difference}.`,
    { remedy: 'Do not use it. Exporting in f32 loses nothing; if that differs too, it is a bug in lsp.' },
  );
}
