/** The coding task: its form, its gate, and a step of self-play on it. */
import {
  coding,
  codingMetrics,
  LspTrainer,
  randomFor,
  testsGate,
  type ChallengerPrompt,
  type Coding,
  type Query,
} from '../../lib/lsp';
import { CODING_EXAMPLES } from '../../lib/lsp/tasks/coding-examples';
import { looksPlain } from '../../lib/lsp/tasks/plain-assert';
import { CODING_CHALLENGER_SYSTEM, renderCodingExample } from '../../lib/lsp/prompts';
import type { Sandbox } from '../../lib/sandbox';
import { errorOf, expectError, rejectionOf } from '../support/errors';
import { describeWithSandbox, openSandbox } from '../support/sandbox';
import { FakeLearner, FakeModel } from './fakes';

const SOLUTIONS: Record<string, string> = {
  count_vowels: 'return sum(letter in "aeiou" for letter in word.lower())',
  largest_step: 'return max(abs(a - b) for a, b in zip(numbers, numbers[1:]))',
  is_leap_year: 'return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)',
  double_odd: 'return [2 * n if n % 2 else n for n in numbers]',
  turn_around: 'return " ".join(reversed(sentence.split()))',
  reduced: 'return price * (100 - percent) / 100',
  letters: 'return {letter: word.count(letter) for letter in word}',
  middle: 'return sorted([a, b, c])[1]',
  clock: 'return f"{minutes // 60}:{minutes % 60:02}"',
  common: 'return sorted(set(first) & set(second))',
};

describe('looksPlain', () => {
  it.each([
    ['assert f(1) == 2', true],
    ["assert f('it\\'s', [1.5, -2]) == {'a': None}", true],
    ['assert len(f("a b")) >= 3 and not f("")', true],
    ['assert sorted(f([3, 1]))[0:2] == [1, 3]', true],
    ['assert f(1) = 2', false],
    ['assert f(1 == 2', false],
    ['assert f(1]) == 2', false],
    ["assert f('open) == 2", false],
    ['assert f(x) == 2', false],
    ['assert f.__class__ == 2', false],
    ['assert f(1) == 2 because', false],
    ['assert f(lambda: 1) == 2', false],
    ['assert f(1) == 2 @ 3', false],
  ])('%s: %s', (line, expected) => {
    expect(looksPlain(line, 'f')).toBe(expected);
  });
});

describeWithSandbox('coding', () => {
  let sandbox: Sandbox;
  let game: Coding;
  beforeAll(async () => {
    sandbox = await openSandbox();
    game = coding({ sandbox });
  });
  const prompt = (index: number, step = 0): ChallengerPrompt =>
    game.task.challengerPrompt({
      step,
      index,
      count: 4,
      maxNewTokens: 128,
      random: (key) => randomFor(5n, step, 'draw', key),
    });
  const parse = (text: string) => game.task.parse(text, prompt(0));
  const query = (text: string): Query => {
    const parsed = parse(text);
    if ('rejected' in parsed) throw new Error(parsed.rejected);
    return parsed;
  };

  it('shows worked examples, the same to queries that share a prompt', () => {
    const [first, second, third] = [0, 1, 2].map((index) => prompt(index));
    expect(first!.messages[0]).toEqual({ role: 'system', content: CODING_CHALLENGER_SYSTEM });
    expect(first!.messages).toHaveLength(2 + 2 * 6);
    expect(second).toEqual(first);
    expect(third).not.toEqual(first);
    expect(prompt(0, 1)).not.toEqual(first);
    expect(prompt(0)).toEqual(first);
  });

  it('reads what it shows, shows the Solver one test, and keeps the others from it', () => {
    const [example] = CODING_EXAMPLES as [(typeof CODING_EXAMPLES)[0]];
    const { text, core, info } = query(renderCodingExample(example));
    expect(core).toBe(example.specification);
    expect(info).toEqual({ ...example, entryPoint: 'count_vowels' });
    expect(text).toContain(example.specification);
    expect(text).toContain(example.signature);
    expect(text).toContain(example.tests[0]);
    expect(text).not.toContain(example.tests[1]);
    expect(game.task.difficulty!({ text, core, info })).toBe(3);
  });

  it('passes over what a small model adds', () => {
    const messy = [
      'Next task: "Add one to a number"',
      '```python',
      'def add_one(n: int) -> int:',
      '    return n + 1',
      '```',
      '- assert add_one(1) == 2  # two',
      'assert add_one(1) == 2',
      '2. assert add_one(-1) == 0.',
      'assert other(3) == 4',
      'assert add_one(n) == n + 1',
      'assert add_one(5) == 6',
    ].join('\n');
    const { core, info } = query(messy);
    expect(core).toBe('Add one to a number.');
    expect(info).toMatchObject({
      entryPoint: 'add_one',
      tests: ['assert add_one(1) == 2', 'assert add_one(-1) == 0', 'assert add_one(5) == 6'],
    });
    const nameless = query('Add one to a number.\nassert add_one(1) == 2\nassert add_one(2) == 3');
    expect(nameless.info).toMatchObject({ signature: null, entryPoint: 'add_one' });
  });

  it.each([
    ['', 'no-task'],
    ['def f(x):\nassert f(1) == 2', 'no-task'],
    ['Say something.', 'no-function'],
    ['Add one.\ndef f(x):', 'too-few-tests'],
    ['Add one.\ndef f(x):\nassert f(1) == 2', 'too-few-tests'],
    ['Add one.\ndef f(x):\nassert f(1) == 2\nassert f(1) == 2', 'too-few-tests'],
    ['Add one.\ndef f(x):\nassert g(1) == 2\nassert g(2) == 3', 'too-few-tests'],
  ])('rejects %j: %s', (text, rejected) => {
    expect(parse(text)).toEqual({ rejected });
  });

  describe('testsGate', () => {
    const causes = async (...sets: [entryPoint: string, ...tests: string[]][]) => {
      const queries = sets.map(([entryPoint, ...tests]) => ({
        text: '',
        core: '',
        info: { entryPoint, tests },
      }));
      return testsGate(sandbox)(queries, { step: 0, history: [] });
    };

    it('lets the examples pass', async () => {
      const queries = CODING_EXAMPLES.map((example) => query(renderCodingExample(example)));
      expect(await testsGate(sandbox)(queries, { step: 0, history: [] })).toEqual(queries.map(() => null));
    });

    it('finds what tests nothing, and what is no test', async () => {
      expect(
        await causes(
          ['f', 'assert f(1) == 2', 'assert f(2) == 3'],
          ['f', 'assert f(1) == 5', 'assert f(2) == 5'], // a constant of their own
          ['f', 'assert f([1, 2]) == [3]', 'assert f([7]) == [3]'],
          ['f', 'assert f(4) == 4', 'assert f("a") == "a"'], // the argument as it is
          ['f', 'assert f(1, 4) == 4', 'assert f(2, "a") == "a"'], // the second argument
          ['f', 'assert not f(1)', 'assert not f(2)'], // None
          ['f', 'assert f(1) == 2', 'assert f(1) == 3'],
          ['f', 'assert f(1) == 2', 'assert f(1)  ==  2'],
          ['f', 'assert f(1) == 2', 'assert 1 == 1'],
          ['f', 'assert f(1) == 2', 'assert f(__import__("os").getpid()) == 3'],
          ['f', 'assert f(1) == 2', 'assert f(1'],
          ['f', 'assert f(1) == 2', 'assert f(2) == 3, print("x")'],
        ),
      ).toEqual([
        null,
        'trivial',
        'trivial',
        'trivial',
        'trivial',
        'trivial',
        'contradictory',
        'duplicate-tests',
        'not-called',
        'not-plain',
        'not-python',
        'not-plain',
      ]);
    });

    it('goes on after tests that do not end by themselves, or take all memory', async () => {
      const slow = 'assert f(sum(range(10000000000))) == 1';
      const large = 'assert f([0] * 1000000000000) == 1';
      const fine: [string, ...string[]] = ['f', 'assert f(1) == 2', 'assert f(2) == 3'];
      expect(await causes(fine, ['f', slow], fine, ['f', large, 'assert f(2) == 3'], fine)).toEqual([
        null,
        'too-slow',
        null,
        null, // nobody passes it; that is for the objective to find out
        null,
      ]);
    }, 60_000);

    it('blames no query where it does not run itself', async () => {
      const broken = {
        status: 'failed',
        exitCode: 1,
        stdout: '',
        stderr: 'no module json',
        seconds: 0,
      } as const;
      const run = jest.spyOn(sandbox, 'run').mockResolvedValue(broken);
      try {
        const gate = causes(['f', 'assert f(1) == 2', 'assert f(2) == 3']);
        expectError(await rejectionOf(gate), 'SANDBOX_UNAVAILABLE', /gate\.py.*no module json/);
      } finally {
        run.mockRestore();
      }
    });

    it('is aborted with the reason', async () => {
      const gate = testsGate(sandbox)([query(renderCodingExample(CODING_EXAMPLES[0]!))], {
        step: 0,
        history: [],
        signal: AbortSignal.abort('enough'),
      });
      await expect(gate).rejects.toBe('enough');
    });
  });

  it('pays for right solutions of every example, and for no other', async () => {
    const samplesOf = (body: (name: string) => string) =>
      CODING_EXAMPLES.map((example, index) => {
        const { info } = query(renderCodingExample(example));
        const name = info['entryPoint'] as string;
        const answer = `\`\`\`python\n${example.signature}\n    ${body(name)}\n\`\`\``;
        return { answer, info, index } as never;
      });
    const signal = new AbortController().signal;
    expect(
      await game.reward.score(
        samplesOf((name) => SOLUTIONS[name]!),
        { signal },
      ),
    ).toEqual(CODING_EXAMPLES.map(() => 1));
    expect(
      await game.reward.score(
        samplesOf(() => 'return None'),
        { signal },
      ),
    ).toEqual(CODING_EXAMPLES.map(() => 0));
  });

  it('is played', async () => {
    const challenger = [
      'Add one to a number that is given.\ndef up(n):\nassert up(1) == 2\nassert up(5) == 6',
      'Say whether it is so or not.\ndef same(x):\nassert same(1) == 3\nassert same(2) == 3',
      'Nothing to do with code at all here.',
    ];
    const solver = ['```python\ndef up(n):\n    return n + 1\n```', 'def up(n):\n    return n', 'no'];
    const learner = new FakeLearner(new FakeModel({ challenger, solver }));
    const trainer = new LspTrainer({
      learner,
      reward: game.reward,
      challenger: { task: game.task, queries: 12, maxNewTokens: 200 },
      solver: { answers: 6 },
      gate: testsGate(sandbox),
      kl: { coefficient: 0 },
    });
    for await (const { metrics, samples } of trainer.run({ steps: 1 })) {
      const summary = codingMetrics(samples);
      expect(summary.usableShare).toBeGreaterThan(0);
      expect(summary.usableShare).toBe(metrics.validQueries / 12);
      expect(summary.rejections).toEqual(metrics.rejections);
      expect(Object.keys(summary.rejections).sort()).toEqual(['no-function', 'trivial']);
      expect(summary.testsPerQuery).toBe(2);
      expect(summary.passRate).toBeCloseTo(metrics.value!, 12);
      expect(summary.passRate).toBeGreaterThan(0);
      expect(summary.passRate).toBeLessThan(1);
      expect(metrics.updated).toBe(true);
    }
    expect(codingMetrics([])).toEqual({
      usableShare: 0,
      rejections: {},
      passRate: null,
      testsPerQuery: null,
    });
  });

  it('checks its options', () => {
    expectError(
      errorOf(() => coding({} as never)),
      'INVALID_ARGUMENT',
      /`sandbox`/,
    );
    expectError(
      errorOf(() => coding({ sandbox, minTests: 3, shownTests: 3 })),
      'INVALID_ARGUMENT',
      /`shownTests`/,
    );
    expectError(
      errorOf(() => coding({ sandbox, maxTests: 1 })),
      'INVALID_ARGUMENT',
      /`maxTests`/,
    );
    expectError(
      errorOf(() => coding({ sandbox, tests: 3 } as never)),
      'UNKNOWN_OPTION',
      /tests/,
    );
  });
});
