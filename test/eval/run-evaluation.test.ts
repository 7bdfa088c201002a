/** The runner on a fake model: what it keeps, how it goes on, and what it refuses. */
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Evaluation, ItemJudgement } from '../../lib/eval/evaluation';
import { readVerdicts } from '../../lib/eval/compare';
import { ResultsFolder } from '../../lib/eval/results-folder';
import { runEvaluation } from '../../lib/eval/run-evaluation';
import type { PolicyModel } from '../../lib/learn/policy';
import type { Completion, GenerateOptions, Prompt } from '../../lib/model/types';
import { expectError, rejectionOf } from '../support/errors';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lsp-eval-'));
});
afterEach(() => rm(folder, { recursive: true }));

interface Item {
  id: string;
  question: string;
}
type Verdict = { correct: boolean };

/** Asks for the length of a word; the fake model answers with it, and with the stream it was sampled from. */
class Lengths implements Evaluation<Item, Verdict> {
  readonly name = 'lengths';
  readonly settings = { version: 1 };
  readonly generation = { maxNewTokens: 8, temperature: 0.5, samples: 2 };
  readonly metrics = [
    {
      name: 'correct',
      label: 'correct',
      value: (verdicts: readonly Verdict[]) =>
        verdicts.length === 0 ? null : verdicts.filter(({ correct }) => correct).length / verdicts.length,
    },
  ];
  judged: string[] = [];
  failing = new Set<string>();

  constructor(readonly items: Item[]) {}

  prompt({ question }: Item): Prompt {
    return [{ role: 'user', content: question }];
  }

  async judge(
    answered: readonly { item: Item; answers: readonly { text: string }[] }[],
  ): Promise<ItemJudgement<Verdict>[]> {
    return Promise.resolve(
      answered.map(({ item, answers }) => {
        this.judged.push(item.id);
        if (this.failing.has(item.id)) return { failed: 'the judge was out' };
        return { verdict: { correct: answers[0]!.text.startsWith(`${item.question.length}/`) } };
      }),
    );
  }
}

class Answering {
  readonly config = { maxPositions: 50 };
  readonly asked: string[] = [];
  /** Called with each batch before it is answered. */
  before: (options: GenerateOptions) => void = () => undefined;
  readonly tokenizer = {
    encode: (text: string) => new Int32Array(text.length),
    encodeChat: (messages: readonly { content: string }[]) => new Int32Array(messages[0]!.content.length),
    decode: () => '',
  };

  async generate(prompts: readonly Prompt[], options: GenerateOptions = {}): Promise<Completion[][]> {
    this.before(options);
    options.signal?.throwIfAborted();
    return Promise.resolve(
      prompts.map((prompt, i) =>
        Array.from({ length: options.samples! }, (_, sample) => {
          const { content } = (prompt as readonly { content: string }[])[0]!;
          this.asked.push(content);
          return {
            text: `${content.length}/${String(options.streamIds![i]![sample])}`,
            tokens: new Int32Array(3),
            finishReason: 'eos',
          } as Completion;
        }),
      ),
    );
  }
}

const model = (answering: Answering) => answering as unknown as PolicyModel;
const WORDS = ['one', 'three', 'eleven', 'seventeen', 'five'];
const lengths = (words: readonly string[] = WORDS) =>
  new Lengths(words.map((question, index) => ({ id: `item-${index}`, question })));

const files = async () =>
  Promise.all(
    ['answers.jsonl', 'results.jsonl', 'summary.json'].map((name) => readFile(join(folder, name), 'utf8')),
  );

describe('runEvaluation', () => {
  it('samples, judges, sums up, and keeps everything', async () => {
    const result = await runEvaluation(lengths(), model(new Answering()), { out: folder, batchSize: 2 });
    expect(result.metrics).toEqual([expect.objectContaining({ name: 'correct', value: 1, count: 5 })]);
    expect(result.failed).toEqual([]);
    const { config, results } = await ResultsFolder.read(folder);
    expect(config).toMatchObject({ evaluation: 'lengths', count: 5, generation: { samples: 2, seed: '0' } });
    expect(results[1]).toEqual({
      id: 'item-1',
      prompt: [{ role: 'user', content: 'three' }],
      answers: [
        { text: '5/2', finishReason: 'eos', tokens: 3 },
        { text: '5/3', finishReason: 'eos', tokens: 3 },
      ],
      verdict: { correct: true },
    });
    const [, , summary] = await files();
    expect(JSON.parse(summary!)).toMatchObject({ judged: 5, metrics: [{ value: 1 }], failed: [] });
  });

  it('gives the same results in any batches, and without a folder', async () => {
    const whole = await runEvaluation(lengths(), model(new Answering()), { out: folder, batchSize: 2 });
    const first = await files();
    await rm(folder, { recursive: true });
    await runEvaluation(lengths(), model(new Answering()), { out: folder, batchSize: 3 });
    expect(await files()).toEqual(first);
    const kept = await runEvaluation(lengths(), model(new Answering()));
    expect({ ...kept }).toEqual({ ...whole });
  });

  it('goes on where it was interrupted, with the files of an uninterrupted run', async () => {
    await runEvaluation(lengths(), model(new Answering()), { out: folder, batchSize: 2 });
    const uninterrupted = await files();
    await rm(folder, { recursive: true });

    const controller = new AbortController();
    const stopped = new Answering();
    stopped.before = () => {
      if (stopped.asked.length >= 4) controller.abort(new Error('enough'));
    };
    const options = { out: folder, batchSize: 2 };
    await expect(
      runEvaluation(lengths(), model(stopped), { ...options, signal: controller.signal }),
    ).rejects.toThrow('enough');
    // A crash in the midst of a line.
    await appendFile(join(folder, 'answers.jsonl'), '{"id":"item-2","ans');

    const goesOn = new Answering();
    const evaluation = lengths();
    const result = await runEvaluation(evaluation, model(goesOn), options);
    expect(goesOn.asked).toEqual(['eleven', 'eleven', 'seventeen', 'seventeen', 'five', 'five']);
    expect(result.verdicts.size).toBe(5);
    expect(await files()).toEqual(uninterrupted);

    const again = new Answering();
    await runEvaluation(lengths(), model(again), options);
    expect(again.asked).toEqual([]);
  });

  it('reports what could not be judged, and judges only that when it is run again', async () => {
    const evaluation = lengths();
    evaluation.failing.add('item-3');
    const first = await runEvaluation(evaluation, model(new Answering()), { out: folder });
    expect(first.failed).toEqual([{ id: 'item-3', reason: 'the judge was out' }]);
    expect(first.metrics[0]!.count).toBe(4);

    evaluation.failing.clear();
    evaluation.judged = [];
    const answering = new Answering();
    const second = await runEvaluation(evaluation, model(answering), { out: folder });
    expect(answering.asked).toEqual([]);
    expect(evaluation.judged).toEqual(['item-3']);
    expect(second.failed).toEqual([]);
    expect([...second.verdicts.keys()]).toEqual(evaluation.items.map(({ id }) => id));
  });

  it('gives answers the room that the context leaves, and empty ones where it leaves none', async () => {
    const answering = new Answering();
    const rooms: (number | undefined)[] = [];
    answering.before = ({ maxNewTokens }) => rooms.push(maxNewTokens);
    const words = ['a', 'x'.repeat(45), 'y'.repeat(50), 'b'];
    const result = await runEvaluation(lengths(words), model(answering), { out: folder });
    expect(rooms).toEqual([8, 5]);
    expect(result.failed).toEqual([]);
    expect(result.unasked).toEqual(['item-2']);
    expect([...result.verdicts.values()].map(({ correct }) => correct)).toEqual([true, true, false, true]);
    const again = await runEvaluation(lengths(words), model(new Answering()), { out: folder });
    expect(again.unasked).toEqual(['item-2']);
    const together = await files();
    await rm(folder, { recursive: true });
    await runEvaluation(lengths(words), model(new Answering()), { out: folder, batchSize: 1 });
    expect(await files()).toEqual(together);
  });

  it('refuses damage in the midst of its files, and changes nothing', async () => {
    await runEvaluation(lengths(), model(new Answering()), { out: folder });
    for (const name of ['answers.jsonl', 'results.jsonl']) {
      const path = join(folder, name);
      const sound = await readFile(path, 'utf8');
      const lines = sound.split('\n');
      for (const damage of ['x' + lines[1]!, '{"id":"item-1"}']) {
        await writeFile(path, [lines[0], damage, ...lines.slice(2)].join('\n'));
        const damaged = await readFile(path, 'utf8');
        const error = await rejectionOf(runEvaluation(lengths(), model(new Answering()), { out: folder }));
        expectError(error, 'INVALID_CHECKPOINT', new RegExp(`line 2 of .*${name}`));
        expect(await readFile(path, 'utf8')).toBe(damaged);
      }
      await writeFile(path, sound);
    }
  });

  it('refuses to compare answers to other questions', async () => {
    await runEvaluation(lengths(), model(new Answering()), { out: folder });
    expect((await readVerdicts(lengths(), folder)).verdicts.size).toBe(5);
    const others = readVerdicts(lengths(['uno', ...WORDS.slice(1)]), folder);
    expectError(await rejectionOf(others), 'INVALID_ARGUMENT', /same questions .* item-0/);
  });

  it('refuses numbers of answers that the evaluation cannot judge, before any is sampled', async () => {
    const evaluation = Object.assign(lengths(), { sampleRange: { min: 2, max: 3 } });
    const answering = new Answering();
    for (const samples of [1, 4]) {
      const error = await rejectionOf(runEvaluation(evaluation, model(answering), { samples }));
      expectError(error, 'INVALID_ARGUMENT', /at least 2 and at most 3 for `samples`/);
    }
    expect(answering.asked).toEqual([]);
  });

  it('refuses items with equal ids, and a judge that leaves some out', async () => {
    const twice = new Lengths([...lengths().items, lengths().items[0]!]);
    expectError(await rejectionOf(runEvaluation(twice, model(new Answering()))), 'INVALID_ARGUMENT', /ids/);
    const evaluation = lengths();
    evaluation.judge = () => Promise.resolve([]);
    expectError(
      await rejectionOf(runEvaluation(evaluation, model(new Answering()))),
      'INVALID_ARGUMENT',
      /5 judgements/,
    );
  });

  it('asks the first items only, where there is a limit', async () => {
    const result = await runEvaluation(lengths(), model(new Answering()), { limit: 2 });
    expect([...result.verdicts.keys()]).toEqual(['item-0', 'item-1']);
    expect(result.config.count).toBe(2);
  });

  it('keeps the answers when the judge throws', async () => {
    const evaluation = lengths();
    evaluation.judge = () => Promise.reject(new Error('no sandbox'));
    await expect(runEvaluation(evaluation, model(new Answering()), { out: folder })).rejects.toThrow(
      'no sandbox',
    );
    const answering = new Answering();
    await runEvaluation(lengths(), model(answering), { out: folder });
    expect(answering.asked).toEqual([]);
  });

  it('tells how far it is', async () => {
    const seen: number[] = [];
    await runEvaluation(lengths(), model(new Answering()), {
      batchSize: 2,
      onProgress: ({ answered, judged, total }) => {
        expect(total).toBe(5);
        expect(judged).toBeLessThanOrEqual(answered);
        seen.push(answered);
      },
    });
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(5);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });

  it('refuses to mix results', async () => {
    await runEvaluation(lengths(), model(new Answering()), { out: folder, model: 'a' });
    const again = (options: object) =>
      rejectionOf(runEvaluation(lengths(), model(new Answering()), { out: folder, model: 'a', ...options }));
    expectError(await again({ model: 'b' }), 'INVALID_ARGUMENT', /another `model`/);
    expectError(await again({ limit: 3 }), 'INVALID_ARGUMENT', /another `items`/);
    expectError(await again({ temperature: 0 }), 'INVALID_ARGUMENT', /another `generation`/);
    expectError(await again({ seed: 1 }), 'INVALID_ARGUMENT', /another `generation`/);
  });

  it('refuses a folder of something else, and one in use', async () => {
    await writeFile(join(folder, 'thesis.tex'), '');
    const refused = () => rejectionOf(runEvaluation(lengths(), model(new Answering()), { out: folder }));
    expectError(await refused(), 'INVALID_ARGUMENT', /holds other files/);
    await writeFile(join(folder, 'config.json'), '{"task":"world"}');
    expectError(await refused(), 'INVALID_ARGUMENT', /something else/);
    await rm(folder, { recursive: true });
    const answering = new Answering();
    let second: Promise<unknown> = Promise.resolve();
    answering.before = () => {
      second = refused();
    };
    await runEvaluation(lengths(), model(answering), { out: folder });
    expectError((await second) as never, 'INVALID_ARGUMENT', /process/);
  });

  it.each([
    [{ limit: 0 }, 'INVALID_ARGUMENT', /limit/],
    [{ samples: 0 }, 'INVALID_ARGUMENT', /samples/],
    [{ temprature: 1 }, 'UNKNOWN_OPTION', /temperature/],
  ] as const)('refuses %j', async (options, code, message) => {
    expectError(
      await rejectionOf(runEvaluation(lengths(), model(new Answering()), options as object)),
      code,
      message,
    );
  });
});
