/**
 * The probe: fixed held-out prompts with constraints, answered greedily and scored by program. The measure of progress
 * of a run, whose own reward moves with the queries that the Challenger writes.
 */
import { checkOptions, expectInteger, expectSignal } from '../../options';
import type { PolicyModel } from '../../learn/policy';
import { VerifiableInstructions } from '../../rewards/verifiable-instructions';
import { probePrompts } from './prompts';

export interface ProbeOptions {
  /** Number of prompts. Default 32. */
  size?: number;
  /** Most tokens of an answer; constraints are drawn to be feasible within them. Default 96. */
  maxNewTokens?: number;
  signal?: AbortSignal;
  /** Called as answers are finished, with their share in [0, 1]. */
  onProgress?: (fraction: number) => void;
}

export interface ProbeGroup {
  name: string;
  /** Mean of the group's scores, in [0, 1]. */
  score: number;
  /** Number of its prompts. */
  count: number;
}

export interface ProbeResult {
  /** Mean of `scores`, in [0, 1]. */
  score: number;
  /** Share of satisfied constraints of each answer, in the order of the prompts. */
  scores: number[];
  /** Mean number of tokens of an answer: a score bought with brevity shows here. */
  meanTokens: number;
  /** Mean score of each group of prompts (the kinds of tasks, say), where there are any. */
  groups?: ProbeGroup[];
}

/**
 * Measures a model. Greedy, so the same weights give the same result.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION; the signal's reason when aborted
 */
export async function runProbe(model: PolicyModel, options: ProbeOptions = {}): Promise<ProbeResult> {
  const checked = checkOptions(options, ['size', 'maxNewTokens', 'signal', 'onProgress'], 'runProbe');
  const size = expectInteger('size', checked.size ?? 32, { min: 1 });
  const maxNewTokens = expectInteger('maxNewTokens', checked.maxNewTokens ?? 96, { min: 1 });
  const signal = expectSignal('signal', checked.signal);
  const prompts = probePrompts(size, maxNewTokens);
  const completions = await model.generate(
    prompts.map(({ text }) => [{ role: 'user', content: text }]),
    {
      maxNewTokens,
      temperature: 0,
      ...(signal && { signal }),
      onProgress: ({ finished, total }) => checked.onProgress?.(finished / total),
    },
  );
  const reward = new VerifiableInstructions();
  const scores = prompts.map(({ constraints }, i) =>
    reward.scoreAnswer(constraints, completions[i]![0]!.text),
  );
  const tokens = completions.reduce((sum, [answer]) => sum + answer!.tokens.length, 0);
  return {
    score: scores.reduce((sum, score) => sum + score, 0) / size,
    scores,
    meanTokens: tokens / size,
  };
}
