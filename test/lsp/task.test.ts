/** The instruction-following task, gates, duplicates, and random streams. */
import {
  allOf,
  copyGate,
  defaultGate,
  duplicateGate,
  instructionFollowing,
  lengthGate,
  markupGate,
  openGate,
  repetitionGate,
  scriptGate,
  type ChallengerPrompt,
  type Gate,
  type Query,
  type Task,
} from '../../lib/lsp';
import { clusters, countSeenBefore, features, similarity } from '../../lib/lsp/duplicates';
import { TASK_EXAMPLES, judgeMessages } from '../../lib/lsp/prompts';
import { RUBRIC } from '../../lib/rewards/rubric';
import { randomFor, shuffledIndices, streamId } from '../../lib/lsp/random';
import {
  areFeasible,
  formatConstraint,
  parseConstraint,
  type Constraint,
} from '../../lib/rewards/instructions';

function prompts(task: Task, count: number, step = 0, maxNewTokens = 64): ChallengerPrompt[] {
  return Array.from({ length: count }, (_, index) =>
    task.challengerPrompt({
      step,
      index,
      count,
      maxNewTokens,
      random: (key) => randomFor(5n, step, 'draw', key),
    }),
  );
}

const rulesOf = (query: Query) => (query.info['constraints'] as Constraint[]).map(formatConstraint);

describe('instructionFollowing, constraints drawn', () => {
  const task = instructionFollowing({ queriesPerDraw: 4 });

  it('gives at least `queriesPerDraw` queries the same draw and the same prompt', () => {
    const drawn = prompts(task, 10);
    const keys = drawn.map(({ draw }) => draw);
    const sizes = [...new Set(keys)].map((key) => keys.filter((other) => other === key).length);
    expect(sizes).toEqual([5, 5]);
    drawn.forEach(({ messages }, i) => expect(messages).toEqual(drawn[i < 5 ? 0 : 5]!.messages));
    expect(new Set(prompts(task, 3).map(({ draw }) => draw)).size).toBe(1);
  });

  it('draws by seed and step alone', () => {
    expect(prompts(task, 8, 3)).toEqual(prompts(task, 8, 3));
    expect(prompts(task, 8, 3)[0]!.draw).not.toBe(prompts(task, 8, 4)[0]!.draw);
  });

  it('reads the first line as the task and renders the constraints in words', () => {
    const [prompt] = prompts(task, 4) as [ChallengerPrompt];
    const query = task.parse('- Task: "Describe a river in spring"\nrubbish', prompt) as Query;
    expect(query.core).toBe('Describe a river in spring');
    expect(query.text).toMatch(/^Describe a river in spring\. \S/);
    expect(query.info['constraints']).toEqual((prompt.context as { constraints: unknown }).constraints);
    expect(prompt.draw).toBe(`0: ${rulesOf(query).join('; ')}`);
    expect(task.solverMessages(query)).toEqual([{ role: 'user', content: query.text }]);
    expect(task.parse('  \n', prompt)).toEqual({ rejected: 'no-task' });
  });

  it('draws what fits into the answer', () => {
    for (let step = 0; step < 50; step++) {
      const [{ context }] = prompts(task, 4, step, 32) as [ChallengerPrompt];
      expect(areFeasible((context as { constraints: Constraint[] }).constraints, 32)).toBe(true);
    }
  });

  it('can hide the constraints from the Challenger', () => {
    const hidden = prompts(instructionFollowing({ showConstraints: false }), 4)[0]!;
    expect(hidden.messages.some(({ content }) => content.includes('Rules'))).toBe(false);
  });
});

describe('instructionFollowing without constraints', () => {
  const task = instructionFollowing({ constraints: 'none' });

  it('asks all queries alike, and compares them with each other', () => {
    const asked = prompts(task, 4);
    asked.forEach((prompt) => expect(prompt).toEqual(asked[0]));
    expect(asked[0]!.draw).toBeNull();
    expect(JSON.stringify(asked[0]!.messages)).not.toContain('Rule');
  });

  it('takes one line for the query', () => {
    const [prompt] = prompts(task, 1);
    expect(task.stop).toEqual(['\n']);
    expect(task.parse('Task: Describe a lighthouse', prompt!)).toEqual({
      text: 'Describe a lighthouse.',
      core: 'Describe a lighthouse',
      info: { constraints: [] },
    });
    expect(task.parse('  ', prompt!)).toEqual({ rejected: 'no-task' });
  });
});

describe('instructionFollowing, constraints chosen', () => {
  const task = instructionFollowing({ constraints: 'chosen', maxConstraints: 2 });
  const [prompt] = prompts(task, 2) as [ChallengerPrompt];

  it('reads the form as a small model writes it', () => {
    const query = task.parse(
      'Task: Describe a river.\nRule: words <= 30\n- rule 2: no commas',
      prompt,
    ) as Query;
    expect(query.core).toBe('Describe a river.');
    expect(rulesOf(query)).toEqual(['words <= 30', 'no commas']);
  });

  it('rejects by cause', () => {
    const cause = (text: string) => (task.parse(text, prompt) as { rejected: string }).rejected;
    expect(cause('')).toBe('no-task');
    expect(cause('Task: Describe a river.\nRule: be nice')).toBe('no-rule');
    expect(cause('Task: T.\nRule: no commas\nRule: title\nRule: words <= 30')).toBe('too-many-rules');
    expect(cause('Task: T.\nRule: words >= 500')).toBe('infeasible');
    expect(cause('Task: T.\nRule: all lowercase\nRule: all uppercase')).toBe('infeasible');
  });

  it('has one prompt for all queries of a step, and no draw', () => {
    const [first, second] = prompts(task, 2) as [ChallengerPrompt, ChallengerPrompt];
    expect(first).toEqual(second);
    expect(first.draw).toBeNull();
  });
});

describe('prompts', () => {
  it('every rule of the worked examples is one that the parser reads', () => {
    for (const rule of TASK_EXAMPLES.flatMap(({ rules }) => rules)) {
      expect([rule, parseConstraint(rule)]).not.toEqual([rule, null]);
    }
  });

  it('the judge sees seven lines, query and answer; the rubric comes first', () => {
    expect(RUBRIC).toHaveLength(7);
    const { content } = judgeMessages('QUERY', 'ANSWER')[0]!;
    expect(content.indexOf('7. ')).toBeLessThan(content.indexOf('QUERY'));
    expect(content.indexOf('QUERY')).toBeLessThan(content.indexOf('ANSWER'));
  });

  it('refuses impossible options', () => {
    expect(() => instructionFollowing({ constraint: 'drawn' } as never)).toThrow(
      /Did you mean `constraints`/,
    );
    expect(() => instructionFollowing({ minConstraints: 3, maxConstraints: 2 })).toThrow(/`maxConstraints`/);
  });
});

describe('gates', () => {
  const causes = (gate: Gate, texts: string[], history: string[] = []) =>
    gate(
      texts.map((core) => ({ core, text: core, info: {} })),
      { step: 0, history },
    );

  it('length, repetition, markup, script, copies', async () => {
    expect(await causes(lengthGate({ minWords: 2, maxWords: 3 }), ['one', 'one two', 'a b c d'])).toEqual([
      'too-short',
      null,
      'too-long',
    ]);
    expect(
      await causes(repetitionGate, [
        'go go go go go go go go',
        'write a poem about the old sea and the wind',
      ]),
    ).toEqual(['repetitive', null]);
    expect(await causes(markupGate, ['<|im_end|> hello', 'User: hello', 'Use a user name'])).toEqual([
      'markup',
      'markup',
      null,
    ]);
    expect(await causes(scriptGate(), ['Напиши стих', 'Write ein Gedicht', '123'])).toEqual([
      'language',
      null,
      'language',
    ]);
    expect(
      await causes(copyGate(['Describe a storm at sea.']), ['describe a storm at sea', 'Describe a cat.']),
    ).toEqual(['copied', null]);
    expect(() => scriptGate({ script: 'Klingon' })).toThrow(/Unicode script/);
  });

  it('duplicates: the first passes, later ones and those of the history do not', async () => {
    const texts = ['Name three birds', 'name three birds!', 'Explain how rain forms'];
    expect(await causes(duplicateGate(), texts, ['Explain how rain forms.'])).toEqual([
      null,
      'duplicate',
      'seen-before',
    ]);
  });

  it('a rejected query is no reason to reject its duplicate', async () => {
    const gate = allOf((queries) => queries.map((_, i) => (i === 0 ? 'first' : null)), duplicateGate());
    expect(await causes(gate, ['Name three birds', 'Name three birds'])).toEqual(['first', null]);
    expect(await causes(openGate, ['', ''])).toEqual([null, null]);
  });

  it('the default gate lets ordinary tasks pass', async () => {
    const texts = ['Describe a river in spring.', 'Name three birds that live near water.'];
    expect(await causes(defaultGate(), texts)).toEqual([null, null]);
    expect(await causes(defaultGate(), [TASK_EXAMPLES[0]!.task])).toEqual(['copied']);
  });
});

describe('duplicates', () => {
  it('Jaccard index over words and pairs, by hand', () => {
    // {a, b, c, a b, b c} and {a, b, d, a b, b d}: 3 shared of 7
    expect(similarity(features('a b c'), features('A, b d'))).toBeCloseTo(3 / 7, 12);
    expect(similarity(features(''), features('!'))).toBe(1);
  });

  it('clusters by single linkage', () => {
    // neighbours share 7 of 11 features, the ends 5 of 13
    const texts = ['a b c d e', 'a b c d f', 'x', 'q b c d f'];
    expect(clusters(texts, 0.6)).toEqual([0, 0, 2, 0]);
    expect(clusters(texts, 0.9)).toEqual([0, 1, 2, 3]);
    expect(countSeenBefore(['x', 'a'], ['X!', 'x.', 'y'], 0.9)).toEqual([2, 0]);
  });
});

describe('random streams', () => {
  it('stream ids never collide across step, role and index', () => {
    const ids = [0, 1, 77].flatMap((step) =>
      (['challenger', 'solver', 'judge'] as const).flatMap((role) =>
        [0, 1, 5000].map((i) => streamId(step, role, i)),
      ),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => id >= 0n && id < 1n << 63n)).toBe(true);
    expect(() => streamId(-1, 'solver', 0)).toThrow(/`step`/);
  });

  it('same key, same numbers; uniform in [0, 1)', () => {
    const numbers = (step: number) => {
      const random = randomFor(9n, step, 'draw', 0);
      return Array.from({ length: 20_000 }, random);
    };
    expect(numbers(1)).toEqual(numbers(1));
    const values = numbers(2);
    expect(values.slice(0, 5)).not.toEqual(numbers(1).slice(0, 5));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    // standard error of the mean 0.289 / √20000 = 0.002; five of them
    expect(Math.abs(values.reduce((a, b) => a + b) / values.length - 0.5)).toBeLessThan(0.01);
  });

  it('shuffles are permutations', () => {
    const order = shuffledIndices(50, randomFor(1n, 0, 'order', 0));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(order).not.toEqual([...order].sort((a, b) => a - b));
  });
});
