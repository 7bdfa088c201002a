/** `lsp eval <name>`: how good a model is, by the field's evaluations. */
import { Command } from 'commander';
import { ADAPTER_FLAG, MODEL_SOURCES } from '../local-model';
import { Output, type Streams } from '../output';
import { numberFlag } from '../usage';
import { EVALUATIONS } from './evaluations';
import { evaluate, type EvalFlags } from './run';
import type { EvaluationCommand } from './spec';

export function evalCommand(streams: Streams): Command {
  const command = new Command('eval')
    .description('Measure a model by an evaluation of the field, and compare it with another.')
    .addHelpText(
      'after',
      '\nResults go into a folder, item by item; a command that is interrupted goes on when it is given again.' +
        '\n\nExamples:\n  $ lsp eval ifeval --model model.gguf --max-new-tokens 256' +
        '\n  $ lsp eval gsm8k --model runs/first/checkpoints/step-000020/model --against model.gguf --limit 200',
    );
  for (const evaluation of EVALUATIONS) command.addCommand(evaluationCommand(evaluation, streams));
  return command;
}

function evaluationCommand(evaluation: EvaluationCommand, streams: Streams): Command {
  const command = new Command(evaluation.name)
    .description(evaluation.description)
    .requiredOption('--model <source>', MODEL_SOURCES)
    .option(...ADAPTER_FLAG)
    .option('--against <source>', 'a model, or the results of an earlier evaluation, to compare with')
    .option('--out <folder>', 'where results go (default: a folder in evals/ named by what was asked)')
    .option('--limit <n>', 'only the first n items', numberFlag)
    .option('--max-new-tokens <n>', 'most tokens of an answer', numberFlag)
    .option('--temperature <t>', 'sampling temperature; 0 is greedy', numberFlag)
    .option('--samples <n>', 'answers an item', numberFlag)
    .option('--seed <n>', 'the same seed gives the same answers (default: 0)', numberFlag)
    .option('--threads <n>', 'compute threads (default: all cores)', numberFlag)
    .option('--json', 'machine-readable output');
  return evaluation.options(command).action(async (flags: EvalFlags) => {
    await evaluate(evaluation, flags, new Output({ json: flags.json ?? false, streams }));
  });
}
