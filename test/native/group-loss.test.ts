/**
 * A loss that looks at log-probabilities: the worker asks for a group's gradient between forward and backward pass. The
 * same bits as scoring first and handing over values, and nothing is left behind by what goes wrong.
 */
import { createHash } from 'node:crypto';
import type {
  NativeGroupLoss,
  NativeLearner,
  NativeLearnerOptions,
  NativeModel,
  NativeTrainSequence,
} from '../../lib/native/addon';
import { loadAddon } from '../../lib/native/load';
import { bits, codeOf, handle, joined, learnerOn, loadTiny, tinySource } from '../support/native-model';

const tiny = tinySource();
const { config } = tiny.source;
let model: NativeModel;
let learner: NativeLearner;

beforeAll(async () => {
  loadAddon().bench.timeKernels(true);
  model = await loadTiny(tiny);
  loadAddon().bench.timeKernels(false);
});

beforeEach(() => {
  learner = learnerOn(model);
});

afterEach(() => learner.dispose());

afterAll(async () => {
  await model.dispose();
  tiny.remove();
});

const run = (length: number, salt: number) =>
  Int32Array.from({ length }, (_, at) => 3 + ((at * 7 + salt) % 90));

/** Answers of `lengths` to queries that begin with the same `system` tokens; each query is a group. */
function answers(queries: number, lengths: readonly number[], system = 37): NativeTrainSequence[] {
  return Array.from({ length: queries }, (_, group) => {
    const query = joined(run(system, 0), run(9 + group, 13 * group + 1));
    return lengths.map((length, index) => ({
      tokens: joined(query, run(length, 5 + group + 11 * index)),
      promptLength: query.length,
      group,
    }));
  }).flat();
}

/**
 * As DPO's: every value depends on the log-probabilities of the whole group. `seen` counts the calls for each group.
 */
function pairLoss(seen: Map<number, number> = new Map()): NativeGroupLoss {
  return (group, logprobs) => {
    seen.set(group, (seen.get(group) ?? 0) + 1);
    const sums = logprobs.map((row) => row.reduce((sum, value) => sum + value, 0));
    const margin = sums.reduce((sum, value, index) => sum + (index % 2 ? -value : value), 0) / 50;
    const slope = 1 / (1 + Math.exp(margin));
    return logprobs.map((row, index) =>
      row.map((value, at) => (index % 2 ? slope : -slope) * Math.cos(at + value)),
    );
  };
}

/** A hash of the bits: where they differ, a diff of all of them would say nothing and take minutes. */
const hash = (values: Float32Array) => createHash('sha256').update(bits(values)).digest('hex');

async function allGradients(of: NativeLearner): Promise<string[]> {
  return Promise.all(model.parameterNames().map(async (name) => hash(await of.gradient(name))));
}

/** Scores everything, computes the gradient of each group, trains with the values. */
async function twoPasses(sequences: readonly NativeTrainSequence[], temperature = 1) {
  const on = learnerOn(model, { activationBudgetBytes: 1 << 28 });
  const { logprobs } = await model.logprobs([...sequences], temperature, handle());
  const values = logprobs.slice();
  const loss = pairLoss();
  for (const group of new Set(sequences.map((sequence) => sequence.group ?? 0))) {
    const members = sequences.flatMap((sequence, index) => ((sequence.group ?? 0) === group ? [index] : []));
    const gradient = loss(
      group,
      members.map((index) => logprobs[index]!),
    );
    members.forEach((index, at) => (values[index] = gradient[at]!));
  }
  await on.accumulate([...sequences], values, temperature, handle());
  const gradients = await allGradients(on);
  await on.dispose();
  return { logprobs: logprobs.map(hash), gradients };
}

/** How often the layers' attention ran forward. */
async function forwardCalls(work: () => Promise<unknown>): Promise<number> {
  const calls = () =>
    loadAddon()
      .bench.kernelTimes()
      .filter(({ name }) => name === 'attention forward')
      .reduce((sum, entry) => sum + entry.calls, 0);
  const before = calls();
  await work();
  return calls() - before;
}

function budget(tokens: number, gradientCheckpointing = false): Partial<NativeLearnerOptions> {
  const each = loadAddon().activationBytesPerToken(config, gradientCheckpointing);
  return { activationBudgetBytes: each * tokens, gradientCheckpointing };
}

const regrouped = (sequences: NativeTrainSequence[], group: (index: number) => number) =>
  sequences.map((sequence, index) => ({ ...sequence, group: group(index) }));

const FEW = answers(4, [11, 40, 1, 70]);
const LONG = answers(3, [110, 120, 100, 90, 115, 80]); // 615 scored rows a group: more than keep their logits
const CASES: [string, NativeTrainSequence[]][] = [
  ['several groups that keep their logits together', FEW],
  ['groups of more rows than keep their logits', LONG],
  ['one group of everything', regrouped(FEW, () => 7)],
  ['a group for each sequence', regrouped(FEW, (index) => index)],
  ['groups that lie between each other', regrouped(FEW, (index) => index % 2)],
  ['groups in descending order', regrouped(FEW, (index) => 9 - Math.floor(index / 4))],
  ['groups with the same sequences', [...FEW, ...regrouped(FEW.slice(0, 8), (index) => 10 + index)]],
];

describe.each(CASES)('%s', (_, sequences) => {
  test.each([1, 130, 250, 400, 600, 1000, 1e6])(
    'the bits of two passes, budget of %d tokens',
    async (tokens) => {
      const expected = await twoPasses(sequences, 0.8);
      for (const gradientCheckpointing of [false, true]) {
        const on = learnerOn(model, budget(tokens, gradientCheckpointing));
        const seen = new Map<number, number>();
        const logprobs = await on.accumulate(sequences, pairLoss(seen), 0.8, handle());
        expect(logprobs.map(hash)).toEqual(expected.logprobs);
        expect(await allGradients(on)).toEqual(expected.gradients);
        expect([...seen.keys()].sort()).toEqual([...new Set(sequences.map(({ group }) => group))].sort());
        expect([...seen.values()].every((count) => count === 1)).toBe(true);
        await on.dispose();
      }
    },
  );
});

describe('the layers run forward', () => {
  const calls = async (sequences: NativeTrainSequence[], tokens: number) => {
    const values = sequences.map(({ tokens: all, promptLength }) =>
      new Float32Array(all.length - promptLength).fill(1),
    );
    const on = learnerOn(model, budget(tokens));
    const known = await forwardCalls(() => on.accumulate(sequences, values, 1, handle()));
    const asked = await forwardCalls(() => on.accumulate(sequences, pairLoss(), 1, handle()));
    await on.dispose();
    return { asked, known };
  };

  test('once where every group fits, though all begin alike and together they do not fit', async () => {
    // A query with its answers has some 170 tokens, of 4 queries two fit beside the 37 that all begin with.
    const { asked, known } = await calls(FEW, 400);
    expect(known).toBeGreaterThan(config.numLayers);
    expect(asked).toBe(known);
  });

  test('once for a group of more rows than keep their logits', async () => {
    const { asked, known } = await calls(LONG, 900);
    expect(known).toBeGreaterThan(config.numLayers);
    expect(asked).toBe(known);
  });

  test('twice where a group is cut', async () => {
    const { asked, known } = await calls(FEW, 130);
    expect(asked).toBe(2 * known);
  });
});

describe('all or nothing', () => {
  const values = FEW.map(({ tokens, promptLength }) =>
    new Float32Array(tokens.length - promptLength).fill(0.5),
  );

  /** The gradient before and after, and what came of it. */
  async function unchanged(
    loss: NativeGroupLoss,
    tokens: number,
    on = learnerOn(model, budget(tokens)),
    steering = handle(),
  ): Promise<unknown> {
    await on.accumulate(FEW, values, 1, handle());
    const before = await allGradients(on);
    const outcome: unknown = await on.accumulate(FEW, loss, 1, steering).catch((error: unknown) => error);
    expect(await allGradients(on)).toEqual(before);
    // It goes on as if nothing had been.
    await on.zeroGradient();
    await on.accumulate(FEW, values, 1, handle());
    expect(await allGradients(on)).toEqual(before);
    await on.dispose();
    return outcome;
  }

  // With 400 tokens the first groups have had their backward pass when the last is asked for, with 130 none has.
  describe.each([130, 400, 1e6])('budget of %d tokens', (tokens) => {
    test.each(['an error', 'a string', undefined, null, 0])('what a callback throws: %s', async (what) => {
      const thrown = what === 'an error' ? new Error('mine') : what;
      const loss = pairLoss();
      const failing: NativeGroupLoss = (group, logprobs) => {
        if (group === 3) throw thrown as Error;
        return loss(group, logprobs);
      };
      expect(await unchanged(failing, tokens)).toBe(thrown);
    });

    test.each<[string, (rows: Float32Array[]) => unknown]>([
      ['nothing', () => undefined],
      ['an object', () => ({})],
      ['too few rows', (rows) => rows.slice(1)],
      ['too many rows', (rows) => [...rows, rows[0]]],
      ['a row too short', ([first, ...rest]) => [first!.subarray(1), ...rest]],
      ['plain numbers', (rows) => rows.map((row) => [...row])],
      ['a promise', (rows) => Promise.resolve(rows)],
    ])('a callback that returns %s', async (_, wrong) => {
      const outcome = await unchanged((_group, rows) => wrong(rows) as Float32Array[], tokens);
      expect(outcome).toMatchObject({ code: 'INVALID_ARGUMENT' });
    });

    test('an abort within the callback', async () => {
      const steering = handle();
      const loss = pairLoss();
      let calls = 0;
      const aborting: NativeGroupLoss = (group, logprobs) => {
        calls++;
        if (group === 2) steering.abort();
        return loss(group, logprobs);
      };
      const outcome = await unchanged(aborting, tokens, undefined, steering);
      expect(outcome).toMatchObject({ code: 'ABORTED' });
      expect(calls).toBe(3);
    });
  });

  test('an abort while the question waits for JavaScript', async () => {
    const on = learnerOn(model);
    const steering = handle();
    const loss = jest.fn(pairLoss());
    const running = codeOf(on.accumulate(FEW, loss, 1, steering));
    for (const start = performance.now(); performance.now() - start < 300;);
    steering.abort();
    expect(await running).toBe('ABORTED');
    expect(loss).not.toHaveBeenCalled();
    expect((await on.gradient('model.norm.weight')).every((value) => value === 0)).toBe(true);
    await on.dispose();
  });
});

describe('a callback that calls the engine', () => {
  test('what it does not await runs afterwards, in order', async () => {
    const [sequence] = FEW;
    const order: string[] = [];
    const waiting: Promise<unknown>[] = [];
    const queue = (name: string, promise: Promise<unknown>) =>
      waiting.push(promise.then(() => void order.push(name)));
    const loss = pairLoss();
    const running = learner.accumulate(
      [sequence!],
      (group, logprobs) => {
        queue(
          'accumulate',
          learner.accumulate([sequence!], [new Float32Array(logprobs[0]!.length)], 1, handle()),
        );
        queue('gradient', learner.gradient('model.norm.weight'));
        queue('score', model.logprobs([sequence!], 1, handle()));
        return loss(group, logprobs);
      },
      1,
      handle(),
    );
    queue('asked', running);
    await running;
    await Promise.all(waiting);
    expect(order).toEqual(['asked', 'accumulate', 'gradient', 'score']);
  });

  test.each(['learner', 'model'])('its %s, to dispose of it', async (which) => {
    const own = await loadTiny(tiny);
    const on = learnerOn(own);
    const loss = pairLoss();
    let disposed: Promise<void> | undefined;
    const logprobs = await on.accumulate(
      FEW,
      (group, rows) => {
        disposed ??= which === 'learner' ? on.dispose() : own.dispose();
        return loss(group, rows);
      },
      1,
      handle(),
    );
    expect(logprobs).toHaveLength(FEW.length);
    await disposed;
    expect(await codeOf(on.gradient('model.norm.weight'))).toBe('DISPOSED');
    await own.dispose();
  });
});
