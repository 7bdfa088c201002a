/** `lsp train`: self-play (or GRPO on queries of a file) into a run directory. */
import { Command, Option } from 'commander';
import { LspError } from '../errors';
import { choicesOf, defaultOf, metaOf, TRAIN_OPTION_NAMES, type TrainOptionName } from '../run/train-options';
import { Output, type Streams } from './output';
import { trainRun } from './training/session';
import { bytesFlag, flagOf, numberFlag, UsageError } from './usage';

const EXAMPLES = `
Examples:
  $ lsp train --model SmolLM2-135M-Instruct.Q4_1.gguf --steps 20 --out runs/first
  $ lsp train --resume runs/first --steps 40
  $ lsp train --model model/ --steps 200 --queries-file prompts.jsonl --reward ./reward.js --out runs/data

A run keeps near the model it started from. The first Ctrl-C leaves the step under way and writes a checkpoint, the
second leaves at once; --resume goes on as if nothing had happened.`;

export function trainCommand(streams: Streams): Command {
  const command = new Command('train')
    .description('Improve a model by playing against itself; needs no data.')
    .option('--model <path>', 'a .gguf file or a Hugging Face directory')
    .option('--out <dir>', 'run directory to make')
    .option('--resume <dir>', 'run directory to go on with')
    .option('--json', 'machine-readable output: one event a line')
    .addHelpText('after', EXAMPLES);
  for (const name of TRAIN_OPTION_NAMES) command.addOption(optionOf(name));
  return command.action(async (flags: Record<string, unknown>) => {
    const { model, out, resume, json, ...given } = flags;
    const output = new Output({ json: json === true, streams });
    await trainRun({ ...startOf({ model, out, resume }), given }, output);
  });
}

function optionOf(name: TrainOptionName): Option {
  const { kind, description, group } = metaOf(name);
  const choices = choicesOf(name);
  const value = kind === 'choice' ? choices.join('|') : VALUE_NAMES[kind];
  const fallback = defaultOf(name);
  const option = new Option(
    `${flagOf(name)} <${value}>`,
    fallback === '' ? description : `${description} (default: ${fallback})`,
  ).helpGroup(`${group}:`);
  if (kind === 'integer' || kind === 'number') option.argParser(numberFlag);
  if (kind === 'bytes') option.argParser(bytesFlag);
  return option;
}

const VALUE_NAMES = { integer: 'n', number: 'x', text: 'path', bytes: 'size', choice: '' } as const;

type Start = { model: string; out: string } | { resume: string };

/** Either a new run (a model and a directory) or one to go on with. */
function startOf(flags: Record<'model' | 'out' | 'resume', unknown>): Start {
  const { model, out, resume } = flags as Partial<Record<'model' | 'out' | 'resume', string>>;
  const refuse = (message: string, remedy: string) =>
    new UsageError(new LspError('INVALID_ARGUMENT', message, { remedy }));
  if (resume !== undefined) {
    if (model === undefined && out === undefined) return { resume };
    throw refuse(
      'Expected neither `--model` nor `--out` beside `--resume` but received both.'.replace(
        'both',
        model === undefined ? '`--out`' : '`--model`',
      ),
      'A resumed run knows where it came from and where it lies.',
    );
  }
  if (model === undefined) {
    throw refuse(
      'Expected a path for `--model` but received nothing.',
      'Give a .gguf file or a Hugging Face directory.',
    );
  }
  if (out === undefined) {
    throw refuse('Expected a directory for `--out` but received nothing.', 'For example --out runs/first.');
  }
  return { model, out };
}
