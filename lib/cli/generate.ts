/** `lsp generate`: ask a model something. */
import { Command } from 'commander';
import { LspError } from '../errors';
import { openModelSource } from '../model/formats';
import { checkGenerateOptions } from '../model/generate-options';
import { LanguageModel } from '../model/language-model';
import { expectInteger } from '../options';
import type { ChatMessage, Completion, GenerateOptions, Prompt } from '../model/types';
import { ADAPTER_FLAG, COMPUTE_FLAG, localModel, MODEL_SOURCES, precisionOf } from './local-model';
import { Output, printable, type Streams } from './output';
import { stopOnSignals } from './signals';
import { checkUsage, numberFlag, UsageError } from './usage';

interface GenerateFlags {
  model: string;
  adapter?: string;
  compute: string;
  prompt?: string;
  system?: string;
  maxNewTokens: number;
  samples: number;
  temperature: number;
  topK: number;
  topP: number;
  seed: number;
  stop?: string[];
  raw?: boolean;
  threads?: number;
  json?: boolean;
}

export function generateCommand(streams: Streams): Command {
  return new Command('generate')
    .description('Generate text. The prompt is a user message; it is read from stdin without --prompt.')
    .requiredOption('--model <source>', MODEL_SOURCES)
    .option(...ADAPTER_FLAG)
    .option('--prompt <text>', 'what to ask')
    .option('--system <text>', 'system message')
    .option('--max-new-tokens <n>', 'most tokens of an answer', numberFlag, 256)
    .option('--samples <n>', 'answers', numberFlag, 1)
    .option('--temperature <t>', 'sampling temperature; 0 is greedy', numberFlag, 1)
    .option('--top-k <k>', 'keep the k likeliest tokens; 0 keeps all', numberFlag, 0)
    .option('--top-p <p>', 'keep the likeliest tokens up to this mass', numberFlag, 1)
    .option('--seed <n>', 'the same seed gives the same answers', numberFlag, 0)
    .option('--stop <text...>', 'end an answer before this text')
    .option('--raw', 'the prompt is text to continue: no chat template')
    .option(...COMPUTE_FLAG)
    .option('--threads <n>', 'compute threads (default: all cores)', numberFlag)
    .option('--json', 'machine-readable output: one line an answer')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lsp generate --model model.gguf --prompt "Name three rivers." --temperature 0' +
        '\n  $ echo "Once upon a time" | lsp generate --model model.gguf --raw --samples 3 --json',
    )
    .action(async (flags: GenerateFlags) => {
      await generate(flags, new Output({ json: flags.json ?? false, streams }));
    });
}

async function generate(flags: GenerateFlags, output: Output): Promise<void> {
  const prompt = await promptOf(flags);
  const stopper = stopOnSignals();
  const { signal } = stopper;
  try {
    const path = await localModel(flags.model, output, signal);
    const options = optionsOf(flags, path);
    await using model = await LanguageModel.load(path, {
      signal,
      ...(flags.adapter !== undefined && { adapter: flags.adapter }),
      ...precisionOf(flags),
      ...(flags.threads !== undefined && { threads: flags.threads }),
    });
    if (flags.samples === 1 && !output.json) {
      for await (const piece of model.stream(prompt, { ...options, signal })) output.raw(printable(piece));
      output.raw('\n');
      return;
    }
    const [completions] = await model.generate([prompt], { ...options, samples: flags.samples, signal });
    completions!.forEach((completion, sample) => writeCompletion(completion, sample, output));
  } finally {
    stopper.release();
  }
}

/**
 * What to generate, checked in the words of flags before anything is loaded: of the model only its configuration is
 * read.
 */
function optionsOf(flags: GenerateFlags, path: string): GenerateOptions {
  const options: GenerateOptions = {
    maxNewTokens: flags.maxNewTokens,
    temperature: flags.temperature,
    topK: flags.topK,
    topP: flags.topP,
    seed: flags.seed,
    ...(flags.stop && { stop: flags.stop }),
  };
  const { config } = openModelSource(path);
  checkUsage(() => {
    if (flags.threads !== undefined) expectInteger('threads', flags.threads, { min: 1, max: 256 });
    precisionOf(flags);
    // No prompt is there yet, so that only what no prompt could mend is refused.
    return checkGenerateOptions({ ...options, samples: flags.samples }, [], config);
  });
  return options;
}

async function promptOf(flags: GenerateFlags): Promise<Prompt> {
  const text = flags.prompt ?? (await readStdin());
  if (text.trim() === '') {
    throw new UsageError(
      new LspError('INVALID_ARGUMENT', 'Expected a prompt that is not empty but received an empty one.', {
        remedy: 'Give it with --prompt, or on stdin.',
      }),
    );
  }
  if (!flags.raw) {
    const messages: ChatMessage[] = [{ role: 'user', content: text }];
    return flags.system === undefined ? messages : [{ role: 'system', content: flags.system }, ...messages];
  }
  return checkUsage(() => {
    if (flags.system === undefined) return text;
    throw new LspError('INVALID_ARGUMENT', 'Expected no `system` beside `raw` but received one.', {
      remedy: 'A raw prompt has no roles.',
    });
  });
}

/** What stands on stdin, without the line break that `echo` and editors put at its end. */
async function readStdin(): Promise<string> {
  if (process.stdin.isTTY) return '';
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

function writeCompletion(completion: Completion, sample: number, output: Output): void {
  const { text, tokens, logprobs, finishReason } = completion;
  output.value({ sample, text, finishReason, tokens: Array.from(tokens), logprobs: Array.from(logprobs) });
  if (output.json) return;
  if (sample > 0) output.line();
  output.line(output.dim(`[${sample + 1}] ${tokens.length} tokens, ${finishReason}`));
  output.line(printable(text));
}
