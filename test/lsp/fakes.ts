/**
 * A policy small enough to follow by hand: each role has a list of texts and one logit per text. The first token
 * of a completion decides the text (softmax of the logits), every later token is certain. Tokens are UTF-16 codes.
 */
import type { PolicyLearner, PolicyModel, PolicyTokenizer } from '../../lib/learn/policy';
import { randomFor } from '../../lib/lsp/random';
import type {
  ChatMessage,
  Completion,
  GenerateOptions,
  LogprobOptions,
  LossGradient,
  Prompt,
  TrainingGroup,
} from '../../lib/model/types';

const EOS = 1;
const ASSISTANT = 2;

export type FakeRole = 'challenger' | 'solver';

export interface FakeTexts {
  challenger: readonly string[];
  solver: readonly string[];
}

/** Texts of a role must begin with different characters. */
export const TEXTS: FakeTexts = {
  challenger: ['Describe a river in spring.', 'Name three birds.', 'Explain how rain forms.', '???'],
  solver: ['yes, that is so', 'no', 'maybe later', 'perhaps'],
};

const tokenizer: PolicyTokenizer = {
  encode: (text) => Int32Array.from(text, (character) => character.charCodeAt(0)),
  encodeChat(messages: readonly ChatMessage[]) {
    const text = messages.map(({ role, content }) => `${role}:${content}\n`).join('');
    return Int32Array.from([...tokenizer.encode(text), ASSISTANT]);
  },
  decode: (ids) => String.fromCharCode(...[...ids].filter((id) => id > 2)),
};

export function textOf(ids: Int32Array): string {
  return tokenizer.decode(ids);
}

const pause = () => new Promise<void>((resolve) => setImmediate(resolve));

export class FakeModel implements PolicyModel {
  readonly config = { maxPositions: 4096 };
  readonly tokenizer = tokenizer;
  readonly theta: Record<FakeRole, number[]>;
  version = 0;
  disposed = false;
  /** Log-probabilities of the candidates; the judge of a test replaces it. */
  judge: (prompt: string, candidates: Int32Array) => number[] = (_, candidates) =>
    [...candidates].map(() => Math.log(1 / 16));
  /** Prompts of every call of generate, as text. */
  readonly seen: string[][] = [];

  constructor(
    readonly texts: FakeTexts = TEXTS,
    theta?: Record<FakeRole, number[]>,
  ) {
    this.theta = theta ?? {
      challenger: texts.challenger.map(() => 0),
      solver: texts.solver.map(() => 0),
    };
  }

  roleOf(prompt: Int32Array): FakeRole {
    return textOf(prompt).includes('system:You invent tasks') ? 'challenger' : 'solver';
  }

  logSoftmax(role: FakeRole, temperature = 1): number[] {
    const logits = this.theta[role].map((x) => x / temperature);
    const largest = Math.max(...logits);
    const total = largest + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - largest), 0));
    return logits.map((x) => x - total);
  }

  choiceOf(role: FakeRole, firstToken: number): number {
    return this.texts[role].findIndex((text) => text.charCodeAt(0) === firstToken);
  }

  async generate(prompts: readonly Prompt[], options: GenerateOptions = {}): Promise<Completion[][]> {
    options.signal?.throwIfAborted();
    this.seen.push(prompts.map((prompt) => textOf(prompt as Int32Array)));
    await pause();
    options.signal?.throwIfAborted();
    return prompts.map((prompt, i) =>
      Array.from({ length: options.samples ?? 1 }, (_, j) => {
        const stream = BigInt(options.streamIds![i]![j]!);
        return this.sample(prompt as Int32Array, BigInt(options.seed ?? 0) * 1000003n + stream, options);
      }),
    );
  }

  private sample(prompt: Int32Array, key: bigint, options: GenerateOptions): Completion {
    const role = this.roleOf(prompt);
    const logprobs = this.logSoftmax(role);
    const sampling = this.logSoftmax(role, options.temperature ?? 1);
    let left = randomFor(BigInt.asUintN(64, key), 0, 'draw', 0)();
    let choice = 0;
    while (choice < sampling.length - 1 && left >= Math.exp(sampling[choice]!))
      left -= Math.exp(sampling[choice++]!);
    const text = this.texts[role][choice]!;
    const all = [...tokenizer.encode(text), EOS];
    const tokens = Int32Array.from(all.slice(0, options.maxNewTokens ?? 256));
    const cut = tokens.length < all.length;
    const certain = (first: number) => Float32Array.from(tokens, (_, t) => (t === 0 ? first : 0));
    return {
      text: cut ? textOf(tokens) : text,
      tokens,
      logprobs: certain(logprobs[choice]!),
      entropies: certain(-logprobs.reduce((sum, l) => sum + l * Math.exp(l), 0)),
      finishReason: cut ? 'length' : 'eos',
      policyVersion: this.version,
    };
  }

  async logprobs(sequences: readonly Int32Array[], options: LogprobOptions = {}): Promise<Float32Array[]> {
    options.signal?.throwIfAborted();
    await pause();
    return sequences.map((sequence, index) => {
      const start = sequence.lastIndexOf(ASSISTANT);
      const role = this.roleOf(sequence.slice(0, start));
      const result = new Float32Array(sequence.length - 1);
      result[start] = this.logSoftmax(role, options.temperature)[this.choiceOf(role, sequence[start + 1]!)]!;
      return result.slice((options.promptLengths?.[index] ?? 1) - 1);
    });
  }

  async nextLogprobs(prompts: readonly Prompt[], candidates: Int32Array): Promise<Float32Array[]> {
    await pause();
    return prompts.map((prompt) => Float32Array.from(this.judge(textOf(prompt as Int32Array), candidates)));
  }

  async clone(): Promise<FakeModel> {
    const copy = new FakeModel(this.texts, structuredClone(this.theta));
    copy.judge = this.judge;
    return copy;
  }

  async dispose(): Promise<void> {
    this.disposed = true;
  }
}

export interface AccumulateCall {
  groups: readonly TrainingGroup[];
  /** As it reached the gradient, after any callback. */
  gradient: Float32Array[][];
  temperature: number;
}

/** Gradient descent with momentum, so that a step on a zero gradient would show. */
export class FakeLearner implements PolicyLearner {
  readonly calls: AccumulateCall[] = [];
  steps = 0;
  momentum: Record<FakeRole, number[]>;
  private gradient: Record<FakeRole, number[]>;

  constructor(
    readonly model: FakeModel,
    readonly learningRate = 1,
  ) {
    this.momentum = this.zeros();
    this.gradient = this.zeros();
  }

  private zeros(): Record<FakeRole, number[]> {
    return {
      challenger: this.model.theta.challenger.map(() => 0),
      solver: this.model.theta.solver.map(() => 0),
    };
  }

  async accumulate(
    groups: readonly TrainingGroup[],
    lossGradient: LossGradient,
    options: { temperature?: number; signal?: AbortSignal } = {},
  ): Promise<void> {
    options.signal?.throwIfAborted();
    await pause();
    options.signal?.throwIfAborted();
    const temperature = options.temperature ?? 1;
    const call: AccumulateCall = { groups, gradient: [], temperature };
    groups.forEach(({ prompt, completions }, g) => {
      const role = this.model.roleOf(prompt);
      const logprobs = this.model.logSoftmax(role, temperature);
      const choices = completions.map((tokens) => this.model.choiceOf(role, tokens[0]!));
      const now = completions.map((tokens, c) =>
        Float32Array.from(tokens, (_, t) => (t === 0 ? logprobs[choices[c]!]! : 0)),
      );
      const coefficients = typeof lossGradient === 'function' ? lossGradient(now, g) : [...lossGradient[g]!];
      call.gradient.push(coefficients);
      choices.forEach((choice, c) => {
        this.gradient[role] = this.gradient[role].map((value, k) => {
          const slope = ((k === choice ? 1 : 0) - Math.exp(logprobs[k]!)) / temperature;
          return value + coefficients[c]![0]! * slope;
        });
      });
    });
    this.calls.push(call);
  }

  async zeroGradient(): Promise<void> {
    this.gradient = this.zeros();
  }

  async step(): Promise<{ gradNorm: number; learningRate: number }> {
    await pause();
    const { theta } = this.model;
    let square = 0;
    for (const role of ['challenger', 'solver'] as const) {
      this.gradient[role].forEach((gradient, k) => {
        square += gradient ** 2;
        this.momentum[role][k] = 0.5 * this.momentum[role][k]! + gradient;
        theta[role][k]! -= this.learningRate * this.momentum[role][k];
      });
    }
    this.gradient = this.zeros();
    this.steps++;
    this.model.version++;
    return { gradNorm: Math.sqrt(square), learningRate: this.learningRate };
  }
}
