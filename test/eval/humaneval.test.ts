/** HumanEval: estimator, reading answers, and (with the data) every published solution against every wrong one. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer, ItemJudgement } from '../../lib/eval/evaluation';
import {
  HumanEval,
  passAtK,
  type HumanEvalItem,
  type HumanEvalOptions,
  type HumanEvalVerdict,
} from '../../lib/eval/humaneval';
import { programOf } from '../../lib/eval/humaneval/program';
import { expectError, rejectionOf } from '../support/errors';
import { describeWithSandbox, openSandbox } from '../support/sandbox';

const DATA = join(__dirname, '../../../shared/data/humaneval/HumanEval.jsonl');
const present = existsSync(DATA);
if (!present) console.warn(`Skipped: all of HumanEval needs ${DATA}.`);

const ROW = {
  task_id: 'Own/0',
  prompt:
    'import math\nfrom typing import List\n\n\ndef shift(n: int) -> int:\n    return n + 1\n\n\n' +
    'def total(numbers: List[int]) -> int:\n    """ The sum, shifted. """\n',
  entry_point: 'total',
  canonical_solution: '    return shift(sum(numbers))\n',
  test: 'def check(candidate):\n    assert candidate([1, 2]) == shift(3)\n    assert candidate([]) == 1\n',
};
const ITEM: HumanEvalItem = {
  id: ROW.task_id,
  prompt: ROW.prompt,
  entryPoint: ROW.entry_point,
  test: ROW.test,
  canonicalSolution: ROW.canonical_solution,
};

const answer = (text: string): Answer => ({ text, finishReason: 'eos', tokens: 1 });
const fenced = (code: string, language = 'python'): string => `\`\`\`${language}\n${code}\n\`\`\``;
const verdictsOf = (judgements: readonly ItemJudgement<HumanEvalVerdict>[]): HumanEvalVerdict[] =>
  judgements.map((judgement) => {
    if ('failed' in judgement) throw new Error(judgement.failed);
    return judgement.verdict;
  });

describe('passAtK', () => {
  /** The definition by counting: the share of k-subsets of n answers with a right one. */
  function counted(n: number, c: number, k: number): number {
    let [subsets, withRight] = [0, 0];
    for (let set = 0; set < 2 ** n; set++) {
      const members = Array.from({ length: n }, (_, i) => i).filter((i) => set & (1 << i));
      if (members.length !== k) continue;
      subsets++;
      if (members.some((i) => i < c)) withRight++;
    }
    return withRight / subsets;
  }

  it('is the share of subsets with a right answer', () => {
    for (let n = 1; n <= 7; n++) {
      for (let c = 0; c <= n; c++) {
        for (let k = 1; k <= n; k++) expect(passAtK(n, c, k)).toBeCloseTo(counted(n, c, k), 12);
      }
    }
  });

  it('is stable for many samples', () => {
    expect(passAtK(100_000, 1, 100)).toBeCloseTo(100 / 100_000, 12);
    expect(passAtK(2000, 1000, 1000)).toBeCloseTo(1, 12);
    expect([passAtK(5, 0, 5), passAtK(5, 5, 1), passAtK(5, 3, 3)]).toEqual([0, 1, 1]);
  });
});

describeWithSandbox('HumanEval', () => {
  let folder: string;
  let data: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lsp-humaneval-'));
    data = join(folder, 'rows.jsonl');
    writeFileSync(data, `${JSON.stringify(ROW)}\n`);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const load = async (options: Partial<HumanEvalOptions> = {}): Promise<HumanEval> =>
    HumanEval.load({ data, sandbox: await openSandbox(), timeoutMs: 4000, ...options });
  const judge = async (texts: readonly string[], options: Partial<HumanEvalOptions> = {}) => {
    const evaluation = await load(options);
    const answered = texts.map((text) => ({ item: ITEM, answers: [answer(text)] }));
    return verdictsOf(await evaluation.judge(answered, { signal: new AbortController().signal }));
  };

  const WHOLE = 'def total(numbers):\n    return shift(sum(numbers))';
  const RIGHT: readonly [string, string][] = [
    ['a block', fenced(WHOLE)],
    ['a block in prose', `Sure! Here it is:\n\n${fenced(WHOLE)}\n\nIt adds the numbers up.`],
    ['a block without a language, by tildes', `~~~\n${WHOLE}\n~~~`],
    ['a block that is cut off', `\`\`\`python\n${WHOLE}\n`],
    ['a block within a list', `1. So:\n   \`\`\`py\n${WHOLE.replace(/^/gm, '   ')}\n   \`\`\``],
    [
      'the second of several',
      `${fenced('pip install x', 'bash')}\n${fenced('total([1])')}\n${fenced(WHOLE)}`,
    ],
    ['the whole question again', fenced(ROW.prompt + ROW.canonical_solution)],
    [
      'the signature as asked, with types',
      fenced('def total(numbers: List[int]) -> int:\n    return shift(math.floor(sum(numbers)))'),
    ],
    [
      'helpers and a future import',
      fenced(`from __future__ import annotations\ndef more(n):\n    return n\n\n${WHOLE}`),
    ],
    [
      'a main part, which does not run',
      fenced(`${WHOLE}\n\nif __name__ == "__main__":\n    raise SystemExit(1)`),
    ],
    ['Windows line ends', fenced(WHOLE).replace(/\n/g, '\r\n')],
    ['a block with the body alone', fenced('    return shift(sum(numbers))')],
    ['a block with the body, not indented', fenced('result = sum(numbers)\nreturn shift(result)')],
    ['a function without a fence', `Here is the function:\n\n${WHOLE}\n\nThis function adds up.`],
    ['the bare body', ROW.canonical_solution],
    ['the bare body and what comes after it', `${ROW.canonical_solution}\nprint(total([1]))\n`],
  ];

  it.each(RIGHT)('reads %s', async (_, text) => {
    expect(await judge([text])).toEqual([{ correct: 1, samples: 1, outcomes: ['passed'] }]);
  });

  it('judges what is wrong, empty, prose or endless', async () => {
    const texts = [
      fenced('def total(numbers):\n    return sum(numbers)'),
      fenced('def other(numbers):\n    return shift(sum(numbers))'),
      '',
      'I cannot do that.',
      fenced('def total(numbers):\n    while True: pass'),
      fenced('def total(numbers):\n    return shift(sum(numbers)'),
    ];
    const verdicts = await judge(texts, { timeoutMs: 1000 });
    expect(verdicts.map(({ outcomes }) => outcomes[0])).toEqual([
      'failed',
      'failed',
      'failed',
      'failed',
      'timeout',
      'failed',
    ]);
    expect(verdicts.every(({ correct }) => correct === 0)).toBe(true);
  });

  it('continues the question where it is completed', async () => {
    const evaluation = await load({ style: 'completion' });
    expect(evaluation.prompt(ITEM)).toBe(ROW.prompt);
    expect(evaluation.generation.stop).toContain('\nclass');
    const text = `${ROW.canonical_solution}\nclass Other:\n  broken(`;
    expect(await judge([text], { style: 'completion' })).toMatchObject([{ correct: 1 }]);
    expect(programOf(ITEM, text, 'completion')).toBe(ROW.prompt + ROW.canonical_solution);
  });

  it('asks in a message', async () => {
    const evaluation = await load();
    const [message] = evaluation.prompt(ITEM) as [{ role: string; content: string }];
    expect(message.role).toBe('user');
    expect(message.content).toContain(ROW.prompt.trim());
    expect(evaluation.generation).toMatchObject({ samples: 1, temperature: 0 });
  });

  it('estimates pass@k from several answers', async () => {
    const evaluation = await load({ k: [1, 2] });
    expect(evaluation.generation).toMatchObject({ samples: 2, temperature: 0.8 });
    const context = { signal: new AbortController().signal };
    const answers = [fenced(WHOLE), '', ''].map(answer);
    const verdicts = verdictsOf(await evaluation.judge([{ item: ITEM, answers }], context));
    expect(verdicts).toEqual([{ correct: 1, samples: 3, outcomes: ['passed', 'failed', 'failed'] }]);
    const values = evaluation.metrics.map(({ name, value }) => [name, value(verdicts)]);
    expect(values).toEqual([
      ['pass_at_1', expect.closeTo(1 / 3, 12)],
      ['pass_at_2', expect.closeTo(2 / 3, 12)],
    ]);
    expect(evaluation.metrics[0]!.value([])).toBeNull();
    const tooFew = evaluation.judge([{ item: ITEM, answers: [answer('')] }], context);
    expectError(await rejectionOf(tooFew), 'INVALID_ARGUMENT', /at least 2 answers/);
  });

  it('is aborted with the reason', async () => {
    const evaluation = await load();
    const controller = new AbortController();
    const reason = new Error('enough');
    const endless = fenced('def total(numbers):\n    while True: pass');
    const answered = Array.from({ length: 5 }, () => ({ item: ITEM, answers: [answer(endless)] }));
    setTimeout(() => controller.abort(reason), 300);
    await expect(evaluation.judge(answered, { signal: controller.signal })).rejects.toBe(reason);
  });

  it('refuses data that are none', async () => {
    const bad = (text: string): Promise<HumanEval> => {
      writeFileSync(join(folder, 'bad.jsonl'), text);
      return load({ data: join(folder, 'bad.jsonl') });
    };
    expectError(await rejectionOf(bad('')), 'INVALID_ARGUMENT', /at least one record/);
    expectError(await rejectionOf(bad('{"task_id": "x"}')), 'INVALID_ARGUMENT', /entry_point in row 1/);
    expectError(
      await rejectionOf(bad(`${JSON.stringify(ROW)}\n`.repeat(2))),
      'INVALID_ARGUMENT',
      /of their own/,
    );
    expectError(await rejectionOf(load({ data: join(folder, 'none') })), 'IO_ERROR', /ENOENT/);
    expectError(await rejectionOf(load({ k: [] })), 'INVALID_ARGUMENT', /`k`/);
    expectError(await rejectionOf(load({ unsafe: true } as never)), 'UNKNOWN_OPTION', /"unsafe"/);
    const brokenTest = { ...ROW, test: 'def check(' };
    const evaluation = await load();
    const judged = evaluation.judge([{ item: { ...ITEM, test: brokenTest.test }, answers: [answer('')] }], {
      signal: new AbortController().signal,
    });
    expectError(await rejectionOf(judged), 'INVALID_ARGUMENT', /SyntaxError/);
  });

  (present ? describe : describe.skip)('all of it', () => {
    const judgeAll = async (
      text: (item: HumanEvalItem) => string,
      options: Partial<HumanEvalOptions> = {},
    ) => {
      const evaluation = await load({ data: DATA, timeoutMs: 20_000, ...options });
      expect(evaluation.items).toHaveLength(164);
      const answered = evaluation.items.map((item) => ({ item, answers: [answer(text(item))] }));
      return verdictsOf(await evaluation.judge(answered, { signal: new AbortController().signal }));
    };
    const WRONG = 0;

    it('published solutions pass, as blocks and as completions', async () => {
      const blocks = await judgeAll(({ prompt, canonicalSolution }) => fenced(prompt + canonicalSolution));
      expect(blocks.filter(({ correct }) => correct === WRONG)).toEqual([]);
      const bodies = await judgeAll((item) => item.canonicalSolution, { style: 'completion' });
      expect(bodies.filter(({ correct }) => correct === WRONG)).toEqual([]);
    });

    it('empty bodies fail', async () => {
      const verdicts = await judgeAll(({ prompt }) => fenced(`${prompt}    pass`));
      expect(verdicts.filter(({ correct }) => correct !== WRONG)).toEqual([]);
      expect(new Set(verdicts.flatMap(({ outcomes }) => outcomes))).toEqual(new Set(['failed']));
    });
  });
});
