/** `lsp chat`: talk with a model. */
import { Command } from 'commander';
import { checkGenerateOptions } from '../model/generate-options';
import { LanguageModel } from '../model/language-model';
import { expectInteger } from '../options';
import { Commands } from './chat/commands';
import { type ChatSampling, Conversation } from './chat/conversation';
import { chatAtTerminal, chatFromLines } from './chat/session';
import { ADAPTER_FLAG, COMPUTE_FLAG, localModel, MODEL_SOURCES, precisionOf } from './local-model';
import { Output, type Streams } from './output';
import { stopOnSignals } from './signals';
import { isOfTinyFamily } from './tiny-family';
import { checkUsage, numberFlag } from './usage';

interface ChatFlags {
  model: string;
  adapter?: string;
  compute: string;
  system?: string;
  temperature: number;
  topK: number;
  topP: number;
  maxNewTokens?: number;
  seed: number;
  threads?: number;
  json?: boolean;
}

/** Most tokens of an answer, where the context leaves as much for what is asked. */
const DEFAULT_NEW_TOKENS = 512;

export function chatCommand(streams: Streams): Command {
  return new Command('chat')
    .description('Talk with a model. It remembers the conversation as far as its context reaches.')
    .option('--model <source>', MODEL_SOURCES, 'tiny')
    .option(...ADAPTER_FLAG)
    .option('--system <text>', 'system message: how the model is to behave')
    .option(
      '--temperature <t>',
      'sampling temperature; 0 is greedy, 1 is how the model was trained and rambles more',
      numberFlag,
      0.7,
    )
    .option('--top-k <k>', 'keep the k likeliest tokens; 0 keeps all', numberFlag, 0)
    .option('--top-p <p>', 'keep the likeliest tokens up to this mass', numberFlag, 1)
    .option(
      '--max-new-tokens <n>',
      `most tokens of an answer (default: ${DEFAULT_NEW_TOKENS}, at most half of the context)`,
      numberFlag,
    )
    .option('--seed <n>', 'the same seed and messages give the same answers', numberFlag, 0)
    .option(...COMPUTE_FLAG)
    .option('--threads <n>', 'compute threads (default: all cores)', numberFlag)
    .option('--json', 'machine-readable output: one line an answer, not streamed')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lsp chat --model model.gguf --system "Answer in one sentence."' +
        '\n  $ printf "Name a river.\\nIn which country is it?\\n" | lsp chat --model model.gguf --json' +
        '\n\nAt a terminal /help lists what else can be typed, Ctrl-C stops an answer and Ctrl-D leaves. From a pipe' +
        '\nevery line is a message. What no longer fits into the context is forgotten, the oldest first.',
    )
    .action(async (flags: ChatFlags) => {
      await chat(flags, new Output({ json: flags.json ?? false, streams }), streams);
    });
}

async function chat(flags: ChatFlags, output: Output, streams: Streams): Promise<void> {
  // What no model could mend is refused before one is loaded.
  samplingOf(flags, { vocabSize: Number.MAX_SAFE_INTEGER, maxPositions: Number.MAX_SAFE_INTEGER });
  const stopper = stopOnSignals();
  const { signal } = stopper;
  try {
    await using model = await loadModel(flags, output, signal);
    const sampling = samplingOf(flags, model.config);
    const conversation = new Conversation(model, sampling, flags.system);
    const parts = { conversation, output, signal };
    const { stdin } = process;
    if (!stdin.isTTY) {
      await chatFromLines(parts, stdin);
      return;
    }
    const { parameterCount, maxPositions } = model.config;
    output.note(
      `${(parameterCount / 1e6).toPrecision(3)} million parameters, a context of ${maxPositions} tokens. ` +
        '/help lists the commands, Ctrl-D leaves.',
    );
    if (isOfTinyFamily(model.tokenizer.chatTemplate))
      output.note('It knows short tasks and nothing else. Try: Sort: k c a, or What is 7 + 5?');
    const isOnScreen = streams.stdout.isTTY === true && !output.json;
    await chatAtTerminal(parts, new Commands(conversation, output, { model: flags.model, sampling }), {
      input: stdin,
      screen: isOnScreen ? streams.stdout : streams.stderr,
    });
  } finally {
    stopper.release();
  }
}

async function loadModel(flags: ChatFlags, output: Output, signal: AbortSignal): Promise<LanguageModel> {
  try {
    return await LanguageModel.load(await localModel(flags.model, output, signal), {
      signal,
      onProgress: ({ loadedBytes, totalBytes }) => output.progress(loadedBytes / totalBytes, 'loading'),
      ...(flags.adapter !== undefined && { adapter: flags.adapter }),
      ...precisionOf(flags),
      ...(flags.threads !== undefined && { threads: flags.threads }),
    });
  } finally {
    output.endProgress();
  }
}

/** How to sample, checked in the words of flags. */
function samplingOf(flags: ChatFlags, limits: { vocabSize: number; maxPositions: number }): ChatSampling {
  const half = Math.max(1, Math.floor(limits.maxPositions / 2));
  const { temperature, topK, topP, seed, maxNewTokens = Math.min(DEFAULT_NEW_TOKENS, half) } = flags;
  const sampling = { temperature, topK, topP, seed, maxNewTokens };
  return checkUsage(() => {
    if (flags.threads !== undefined) expectInteger('threads', flags.threads, { min: 1, max: 256 });
    precisionOf(flags);
    checkGenerateOptions(sampling, [], limits);
    return sampling;
  });
}
