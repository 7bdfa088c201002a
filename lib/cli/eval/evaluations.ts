/** The evaluations of `lsp eval`, each with the options that only it has. */
import { alpacaeval } from './alpacaeval';
import { Gsm8k, HumanEval, IfEval } from '../../eval';
import { numberFlag } from '../usage';
import type { EvaluationCommand } from './spec';

const DATA = '--data <file>';
const FROM_HUB = (repository: string) => `.jsonl, .json or .parquet file (default: ${repository} of the hub)`;

const ifeval: EvaluationCommand = {
  name: 'ifeval',
  description: 'IFEval: instructions that a program can verify, strict and loose.',
  options: (command) =>
    command
      .option(DATA, FROM_HUB('google/IFEval'))
      .option('--exclude <id...>', 'kinds of instructions to leave out'),
  open: async (flags) => ({ evaluation: await IfEval.load(pick(flags, ['data', 'exclude'])) }),
};

const gsm8k: EvaluationCommand = {
  name: 'gsm8k',
  description: 'GSM8K: grade-school maths, pass@1 and the vote of several answers.',
  options: (command) =>
    command
      .option(DATA, FROM_HUB('openai/gsm8k'))
      .option('--shots <n>', 'worked examples before the question, 0 to 8 (default: 5)', numberFlag)
      .option('--shots-data <file>', 'rows to take them from (default: examples of our own)')
      .option('--style <chat|completion>', 'a conversation, or text to be continued (default: chat)'),
  open: async (flags) => ({
    evaluation: await Gsm8k.load(pick(flags, ['data', 'shots', 'shotsData', 'style', 'samples'])),
  }),
};

const humaneval: EvaluationCommand = {
  name: 'humaneval',
  description: 'HumanEval: Python functions against their tests, in a sandbox; pass@k.',
  options: (command) =>
    command
      .option(DATA, FROM_HUB('openai/openai_humaneval'))
      .option('--k <n...>', 'pass@k for each; answers are sampled accordingly (default: 1)', numbersFlag)
      .option(
        '--style <chat|completion>',
        'a question in a message, or code to be continued (default: chat)',
      ),
  open: async (flags) => ({ evaluation: await HumanEval.load(pick(flags, ['data', 'style', 'k'])) }),
};

export const EVALUATIONS: readonly EvaluationCommand[] = [ifeval, gsm8k, humaneval, alpacaeval];

/** Of a flag that may be repeated. */
function numbersFlag(text: string, earlier: number[] | undefined): number[] {
  return [...(earlier ?? []), numberFlag(text)];
}

function pick<const Name extends string>(
  flags: Readonly<Record<string, unknown>>,
  names: readonly Name[],
): Partial<Record<Name, never>> {
  return Object.fromEntries(
    names.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  ) as Partial<Record<Name, never>>;
}
