/** `lsp eval alpacaeval`: who judges, and what that will cost. */
import {
  AlpacaEval,
  EndpointPairJudge,
  ModelPairJudge,
  RewardPairJudge,
  type PairJudge,
} from '../../eval/alpacaeval';
import { ChatEndpoint, type CallEstimate } from '../../endpoint';
import { LanguageModel } from '../../model/language-model';
import { RewardModel } from '../../rewards/reward-model';
import { localModel, shortName } from '../local-model';
import { LspError } from '../../errors';
import { numberFlag, UsageError } from '../usage';
import type { EvaluationCommand, OpenContext } from './spec';

interface AlpacaEvalFlags {
  data?: string;
  baseline?: string;
  judge?: string;
  baseUrl?: string;
  apiKeyVariable?: string;
  judgeTokens?: number;
  concurrency?: number;
  judgeModel?: string;
  rewardModel?: string;
  pricePrompt?: number;
  priceCompletion?: number;
}

export const alpacaeval: EvaluationCommand = {
  name: 'alpacaeval',
  description:
    "AlpacaEval: win rate against a baseline's answers, by an endpoint, a judge model or a reward model.",
  options: (command) =>
    command
      .option('--data <file>', '.jsonl, .json or .parquet file (default: tatsu-lab/alpaca_eval of the hub)')
      .option(
        '--baseline <file>',
        "another baseline: rows like the data's, or answers.jsonl of an earlier evaluation",
      )
      .option('--judge <model>', 'judge: a model behind an endpoint of the OpenAI protocol')
      .option('--base-url <url>', 'address of the endpoint (default: OPENAI_BASE_URL, or that of OpenAI)')
      .option('--api-key-variable <name>', 'environment variable with the key (default: OPENAI_API_KEY)')
      .option(
        '--judge-tokens <n>',
        'most tokens of a verdict (default: 1; more for a judge that thinks)',
        numberFlag,
      )
      .option('--concurrency <n>', 'calls at a time (default: 4)', numberFlag)
      .option('--price-prompt <x>', 'price of a million prompt tokens, for the estimate', numberFlag)
      .option('--price-completion <x>', 'price of a million tokens of answers, for the estimate', numberFlag)
      .option('--judge-model <source>', 'judge: a model on this machine, or of the hub')
      .option('--reward-model <source>', 'judge: a reward model on this machine, or of the hub')
      .option('--estimate', 'only tell what the judge would cost'),
  open: async (flags, context) => {
    const given = flags as AlpacaEvalFlags;
    const { judge, close } = await openJudge(given, context);
    const { data, baseline } = given;
    const evaluation = await AlpacaEval.load({
      judge,
      ...(data !== undefined && { data }),
      ...(baseline !== undefined && { baseline }),
    });
    return {
      evaluation,
      ...(close && { close }),
      ...(given.judge !== undefined && {
        estimate: async (limit) => {
          const prices = pricesOf(given);
          const estimate = await evaluation.estimate([], {
            ...(limit !== undefined && { limit }),
            ...prices,
          });
          return estimate && { value: { ...estimate }, text: inWords(estimate) };
        },
      }),
    };
  },
};

interface OpenedJudge {
  judge: PairJudge;
  close?: () => Promise<void>;
}

async function openJudge(flags: AlpacaEvalFlags, context: OpenContext): Promise<OpenedJudge> {
  const { judge, judgeModel, rewardModel } = flags;
  const named = [judge, judgeModel, rewardModel].filter((one) => one !== undefined).length;
  if (named !== 1) {
    throw new UsageError(
      new LspError(
        'INVALID_ARGUMENT',
        `Expected one of \`--judge\`, \`--judge-model\` and \`--reward-model\` but received ${named === 0 ? 'none' : named}.`,
        { remedy: 'Name who judges the answers.' },
      ),
    );
  }
  if (judge !== undefined) return { judge: endpointJudge(judge, flags) };
  const source = (judgeModel ?? rewardModel)!;
  const { signal, threads } = context;
  const path = await localModel(source, context.output, signal);
  const options = { signal, ...(threads !== undefined && { threads }) };
  const name = shortName(source);
  if (rewardModel !== undefined) {
    const model = await RewardModel.load(path, { ...options, name });
    return { judge: new RewardPairJudge(model, { name }), close: () => model.dispose() };
  }
  const model = await LanguageModel.load(path, options);
  return { judge: new ModelPairJudge(model, { name }), close: () => model.dispose() };
}

function endpointJudge(model: string, flags: AlpacaEvalFlags): PairJudge {
  const { baseUrl, apiKeyVariable, concurrency, judgeTokens } = flags;
  const endpoint = new ChatEndpoint({
    model,
    ...(baseUrl !== undefined && { baseUrl }),
    ...(apiKeyVariable !== undefined && { apiKeyVariable }),
    ...(concurrency !== undefined && { concurrency }),
  });
  return new EndpointPairJudge(endpoint, { ...(judgeTokens !== undefined && { maxTokens: judgeTokens }) });
}

function pricesOf({ pricePrompt, priceCompletion }: AlpacaEvalFlags) {
  if (pricePrompt === undefined && priceCompletion === undefined) return {};
  return { prices: { prompt: pricePrompt ?? 0, completion: priceCompletion ?? 0 } };
}

function inWords(estimate: CallEstimate): string {
  const { calls, cachedCalls, promptTokens, completionTokens, cost } = estimate;
  const cached = cachedCalls > 0 ? `, ${cachedCalls} more are in the cache` : '';
  const price = cost === undefined ? '' : `, about ${cost.toFixed(2)} in money`;
  return (
    `The judge will be called ${calls} times${cached}: about ${promptTokens} tokens of prompts and at most ` +
    `${completionTokens} of verdicts${price}. Answers are taken to be as long as the baseline's.`
  );
}
