import {
  codingProbe,
  mathematicsHeldOut,
  mathematicsProbe,
  probePrompts,
  probeQueries,
  runProbe,
} from '../../lib/eval/probe';
import type { PolicyModel } from '../../lib/learn/policy';
import { mathematics, mathematicsReward } from '../../lib/lsp';
import { TASK_EXAMPLES } from '../../lib/lsp/prompts';
import { areFeasible } from '../../lib/rewards/instructions';

/** A model that gives each prompt the answer of a function. */
function modelOf(answer: (prompt: string) => string): PolicyModel {
  return {
    async generate(prompts: readonly { content: string }[][], options: { temperature?: number }) {
      expect(options.temperature).toBe(0);
      return prompts.map(([message]) => [{ text: answer(message!.content), tokens: new Int32Array(3) }]);
    },
  } as unknown as PolicyModel;
}

describe('the prompts of the probe', () => {
  test('are fixed, feasible, all different, and none of the examples the Challenger sees', () => {
    const prompts = probePrompts(96, 64);
    expect(probePrompts(32, 64)).toEqual(prompts.slice(0, 32));
    expect(new Set(prompts.slice(0, 32).map(({ text }) => text)).size).toBe(32);
    for (const { text, constraints } of prompts) {
      expect(areFeasible(constraints, 64)).toBe(true);
      expect(TASK_EXAMPLES.filter(({ task }) => text.startsWith(task))).toEqual([]);
    }
  });
});

describe('runProbe', () => {
  test('scores each greedy answer by its constraints', async () => {
    const silent = await runProbe(
      modelOf(() => ''),
      { size: 8 },
    );
    expect(silent).toMatchObject({ score: 0, meanTokens: 3 });
    const talking = await runProbe(
      modelOf(() => 'some words without capital letters'),
      { size: 32 },
    );
    expect(talking.scores).toHaveLength(32);
    expect(talking.score).toBeCloseTo(talking.scores.reduce((a, b) => a + b, 0) / 32, 12);
    expect(talking.score).toBeGreaterThan(0);
    expect(talking.score).toBeLessThan(1);
  });

  test('takes no unknown options', async () => {
    await expect(
      runProbe(
        modelOf(() => ''),
        { sise: 3 } as object,
      ),
    ).rejects.toThrow('Did you mean `size`?');
  });
});

describe('probes of other tasks', () => {
  const [task, reward] = [mathematics({ form: 'sums' }), mathematicsReward()];

  test('sums are fixed, different and answered right by who can add', async () => {
    const queries = mathematicsProbe('sums', 40);
    expect(mathematicsProbe('sums', 10)).toEqual(queries.slice(0, 10));
    expect(new Set(queries.map(({ core }) => core)).size).toBe(40);
    const answers = new Map(queries.map(({ text, info }) => [text, String(info['answer'])]));
    const able = modelOf((prompt) => `That is ${answers.get(prompt)}.`);
    expect(await probeQueries(able, { task, reward, queries }, { maxNewTokens: 9 })).toEqual({
      score: 1,
      scores: Array(40).fill(1),
      meanTokens: 3,
    });
    const unable = modelOf(() => 'I cannot tell.');
    expect((await probeQueries(unable, { task, reward, queries }, { maxNewTokens: 9 })).score).toBe(0);
  });

  test('as many as are asked for are different, and none is negative', () => {
    for (const [form, problems] of [
      ['sums', 0],
      ['stories', 12],
    ] as const) {
      const queries = mathematicsProbe(form, 1000);
      expect(queries).toHaveLength(1000);
      expect(new Set(queries.map(({ core }) => core)).size).toBe(1000);
      expect(queries.filter(({ core }) => core.endsWith('?'))).toHaveLength(problems);
    }
    expect(mathematicsProbe('sums', 0)).toEqual([]);
  });

  test('what is asked is held out, however it is written, and its neighbours are not', () => {
    for (const form of ['sums', 'stories'] as const) {
      const isHeldOut = mathematicsHeldOut(form, 64);
      for (const { core, text } of mathematicsProbe(form, 64)) {
        const sign = core.replace('*', '×').replace('-', '−').replaceAll(' ', '');
        for (const one of [
          core,
          text,
          `1. ${core}`,
          sign,
          `Compute ${sign}. Now.`,
          core.replaceAll(' ', '  '),
        ])
          expect({ one, heldOut: isHeldOut(one) }).toEqual({ one, heldOut: true });
        expect(isHeldOut(`${core} + 1`)).toBe(core.endsWith('?'));
      }
      expect(isHeldOut('A dog has 4 legs. How many have 3 dogs?')).toBe(false);
      expect(isHeldOut('1001 + 1')).toBe(false);
      expect(isHeldOut('')).toBe(false);
      const started = performance.now();
      for (const piece of ['(', '1', '1 + ', ' ', 'a', '1.']) isHeldOut(piece.repeat(1_000_000));
      expect(performance.now() - started).toBeLessThan(5000);
    }
    expect(mathematicsHeldOut('sums', 0)(mathematicsProbe('sums', 1)[0]!.core)).toBe(false);
  });

  test('problems come before sums, as many as were asked for', () => {
    const queries = mathematicsProbe('stories', 16);
    expect(queries).toHaveLength(16);
    expect(queries.filter(({ core }) => core.endsWith('?'))).toHaveLength(8);
    expect(mathematicsProbe('stories', 64)).toHaveLength(64);
    for (const { info } of queries) expect(info['answer']).toMatch(/^\d+$/);
  });

  test('functions have tests', () => {
    const coding = { parse: (text: string) => ({ text, core: text, info: {} }) } as never;
    expect(codingProbe(coding, 5)).toHaveLength(5);
    expect(codingProbe(coding, 5)[0]!.text).toMatch(/^Task: .*\ndef .*\nassert /);
  });
});
