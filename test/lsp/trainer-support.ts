/** LspTrainer on a policy that can be followed by hand. */
import { LspError } from '../../lib/errors';
import { gateFrom, LspTrainer, lspZero, type LspTrainerOptions, type StepResult } from '../../lib/lsp';
import { rewardFrom } from '../../lib/rewards/reward';
import { FakeLearner, FakeModel } from './fakes';

export const lengthReward = rewardFrom(({ answer }) =>
  answer === 'no' ? 1 : answer.startsWith('m') ? 0.5 : 0,
);
const NO_KL = { coefficient: 0 };
export const rejectNonsense = gateFrom(({ core }) => (core.startsWith('?') ? 'nonsense' : null));

export function setUp(options: Partial<LspTrainerOptions> = {}, model = new FakeModel()) {
  const learner = new FakeLearner(model);
  const make = (extra: Partial<LspTrainerOptions> = {}) =>
    new LspTrainer({
      learner,
      reward: lengthReward,
      objective: lspZero(),
      gate: rejectNonsense,
      kl: NO_KL,
      ...options,
      ...extra,
    });
  return { model, learner, make, trainer: make() };
}

export async function collect(
  trainer: LspTrainer,
  steps: number,
  signal?: AbortSignal,
): Promise<StepResult[]> {
  const results: StepResult[] = [];
  for await (const result of trainer.run({ steps, ...(signal && { signal }) })) results.push(result);
  return results;
}

/** What must not depend on the clock. */
export const timeless = (results: StepResult[]) =>
  results.map(({ metrics: { seconds: _, ...metrics }, ...rest }) => ({ ...rest, metrics }));

export async function failure(promise: Promise<unknown>): Promise<LspError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LspError);
  return error as LspError;
}
