/** `lsp train`: self-play (or GRPO on queries of a file) into a run directory. */
import { Command, Option } from 'commander';
import { LspError } from '../errors';
import { defaultOf } from '../run/train-defaults';
import { choicesOf, metaOf, TRAIN_OPTION_NAMES, type TrainOptionName } from '../run/train-options';
import { BUNDLED_MODEL, openModelSource } from '../model/formats';
import { withConfigFile } from './config-flag';
import { localModel, MODEL_SOURCES, shortName } from './local-model';
import { Output, type Streams } from './output';
import { isOfTinyFamily } from './tiny-family';
import { trainRun } from './training/session';
import { bytesFlag, flagOf, numberFlag, UsageError } from './usage';

const EXAMPLES = `
Examples:
  $ lsp train
  $ lsp train --model SmolLM2-135M-Instruct.Q4_1.gguf --steps 20 --out runs/first
  $ lsp train --resume runs/first --steps 40
  $ lsp train --model model/ --steps 200 --queries-file prompts.jsonl --reward ./reward.js --out runs/data
  $ lsp train --model model/ --lora-rank 16 --out runs/adapter
  $ lsp train --config train.yaml --out runs/second

The first Ctrl-C leaves the step under way and writes a checkpoint, the
second leaves at once; --resume goes on as if nothing had happened.`;

export function trainCommand(streams: Streams): Command {
  const command = new Command('train')
    .description('Improve a model by playing against itself; needs no data.')
    .option('--model <source>', `${MODEL_SOURCES} (default: tiny)`)
    .option('--out <dir>', 'run directory to make (default: runs/ and the name of the model)')
    .option('--resume <dir>', 'run directory to go on with')
    .option('--config <file>', 'YAML or JSON file of these options, in camelCase; flags win over it')
    .option('--json', 'machine-readable output: one event a line')
    .addHelpText('after', EXAMPLES);
  for (const name of TRAIN_OPTION_NAMES) command.addOption(optionOf(name));
  return command.action(async (flags: Record<string, unknown>) => {
    const { model, out, resume, json, ...given } = withConfigFile(flags);
    const output = new Output({ json: json === true, streams });
    const start = startOf({ model, out, resume });
    if ('resume' in start) return trainRun({ ...start, given }, output);
    const path = await localModel(start.model, output);
    const named = { ...start, model: path, name: shortName(start.model) };
    return trainRun({ ...named, given: withTask(path, given) }, output);
  });
}

function optionOf(name: TrainOptionName): Option {
  const { kind, description, group, valueName } = metaOf(name);
  const choices = choicesOf(name);
  const value = valueName ?? (kind === 'choice' ? choices.join('|') : VALUE_NAMES[kind]);
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

type Start = { model: string; out?: string } | { resume: string };

/** Either a new run, of the bundled model if no other is named, or one to go on with. */
function startOf(flags: Record<'model' | 'out' | 'resume', unknown>): Start {
  const { model, out, resume } = flags as Partial<Record<'model' | 'out' | 'resume', string>>;
  if (resume === undefined) return { model: model ?? BUNDLED_MODEL, out };
  if (model === undefined && out === undefined) return { resume };
  throw new UsageError(
    new LspError(
      'INVALID_ARGUMENT',
      `Expected neither \`--model\` nor \`--out\` beside \`--resume\` but received ` +
        `\`${model === undefined ? '--out' : '--model'}\`.`,
      { remedy: 'A resumed run knows where it came from and where it lies.' },
    ),
  );
}

/** The bundled model, and what came out of it, play in the world it was made for, unless something else is asked for. */
function withTask(model: string, given: Record<string, unknown>): Record<string, unknown> {
  const fitsWorld = given.task === undefined && isOfTheWorld(model);
  return fitsWorld ? { ...given, task: 'world' } : given;
}

function isOfTheWorld(model: string): boolean {
  try {
    return isOfTinyFamily(openModelSource(model).tokenizer.chatTemplate);
  } catch {
    return false; // refused later, together with whatever else is wrong
  }
}
