/** dLoss/dlogprob between TypeScript, which has groups of completions, and native code, which has sequences. */
import { types } from 'node:util';
import type { TrainingGroup } from '../model/types';
import type { NativeGroupLoss, NativeTrainSequence } from '../native/addon';
import { expectArray, invalid } from '../options';

export function isNotEmpty({ length }: { readonly length: number }): boolean {
  return length > 0;
}

/** Empty completions have nothing to learn from and are left out. */
export function trainSequences({ prompt, completions }: TrainingGroup, group: number): NativeTrainSequence[] {
  return completions.filter(isNotEmpty).map((completion) => {
    const tokens = new Int32Array(prompt.length + completion.length);
    tokens.set(prompt);
    tokens.set(completion, prompt.length);
    return { tokens, promptLength: prompt.length, group };
  });
}

/** Puts one array per non-empty completion back into the shape of the groups. */
export function regroup(groups: readonly TrainingGroup[], flat: readonly Float32Array[]): Float32Array[][] {
  let next = 0;
  return groups.map(({ completions }) =>
    completions.map((completion) => (completion.length > 0 ? flat[next++]! : new Float32Array(0))),
  );
}

/** The gradient of a loss as native code takes it, of completions with tokens. */
export interface AskedLoss {
  gradient: Float32Array[] | NativeGroupLoss;
  /** What the callback threw: `withSignal` makes an error of its own of it. */
  failure?: { thrown: unknown };
}

/** A callback is called here for groups without a token, which never reach native code, and there for all others. */
export function askedLoss(
  groups: readonly TrainingGroup[],
  lossGradient: (logprobs: Float32Array[], group: number) => Float32Array[],
): AskedLoss {
  const gradientOf = (index: number, logprobs: readonly Float32Array[]) => {
    const group = groups[index]!;
    const gradient = lossGradient(regroup([group], logprobs)[0]!, index);
    return checkGroupGradient(group, index, gradient).filter(isNotEmpty);
  };
  groups.forEach(({ completions }, index) => {
    if (!completions.some(isNotEmpty)) gradientOf(index, []);
  });
  const loss: AskedLoss = {
    gradient(index: number, logprobs: Float32Array[]) {
      try {
        return gradientOf(index, logprobs);
      } catch (thrown) {
        loss.failure = { thrown };
        throw thrown;
      }
    },
  };
  return loss;
}

/** One finite value per completion token, flattened over the groups. */
export function checkGradient(groups: readonly TrainingGroup[], gradient: unknown): Float32Array[] {
  const ofGroups = expectArray('lossGradient', gradient);
  if (ofGroups.length !== groups.length)
    throw invalid('lossGradient', `one array for each of ${groups.length} groups`, gradient);
  return groups.flatMap((group, index) => checkGroupGradient(group, index, ofGroups[index]));
}

function checkGroupGradient(
  { completions }: TrainingGroup,
  group: number,
  gradient: unknown,
): Float32Array[] {
  const name = `lossGradient[${group}]`;
  const values = expectArray(name, gradient);
  if (values.length !== completions.length) {
    throw invalid(name, `one array for each of ${completions.length} completions`, values);
  }
  return completions.map((completion, index) =>
    checkValues(`${name}[${index}]`, values[index], completion.length),
  );
}

function checkValues(name: string, values: unknown, length: number): Float32Array {
  if (!types.isFloat32Array(values) || values.length !== length) {
    throw invalid(name, `a Float32Array of ${length}, one value a token`, values);
  }
  for (let index = 0; index < length; index += 1) {
    if (!Number.isFinite(values[index])) throw invalid(`${name}[${index}]`, 'a finite number', values[index]);
  }
  return values;
}
