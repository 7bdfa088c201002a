/** The reward of code. */
import { extractCode } from '../../lib/rewards/code/extract';
import { SandboxedCode, type SandboxedCodeOptions } from '../../lib/rewards/code';
import { scoreSamples } from '../../lib/rewards/reward';
import type { Sandbox } from '../../lib/sandbox';
import { LspError } from '../../lib/errors';
import { errorOf, expectError, rejectionOf } from '../support/errors';
import { describeWithSandbox, openSandbox } from '../support/sandbox';
import { sampleOf } from './samples';

const TESTS = ['assert twice(2) == 4', 'assert twice("a") == "aa"', 'assert twice([]) == []'];
const fenced = (code: string): string => `\`\`\`python\n${code}\n\`\`\``;
const RIGHT = fenced('def twice(x):\n    return x + x');

describe('extractCode', () => {
  it.each<[string, string, string | undefined, unknown]>([
    [
      'a block',
      `So:\n${RIGHT}\nDone.`,
      'twice',
      { code: 'def twice(x):\n    return x + x\n', form: 'whole' },
    ],
    [
      'the block that defines it',
      `${fenced('def once(x): ...')}\n${RIGHT}`,
      'twice',
      expect.objectContaining({ form: 'whole' }),
    ],
    ['any function without a name', RIGHT, undefined, expect.objectContaining({ form: 'whole' })],
    ['a block of something else', fenced('twice(3)'), 'twice', { code: 'twice(3)\n', form: 'fragment' }],
    ['no name that only begins so', 'def twicer(x): ...', 'twice', null],
    ['no other language', '```js\nfunction twice() {}\n```', 'twice', null],
    ['nothing in prose', 'I define twice(x) as x + x.', 'twice', null],
    ['an empty block', '```python\n\n```', 'twice', null],
    [
      'code without a fence, with its import, but not the prose',
      'Well:\nimport math\n\ndef twice(x):\n    y = x\n\n    return x + y\n\nIt works like this.',
      'twice',
      { code: 'import math\n\ndef twice(x):\n    y = x\n\n    return x + y\n', form: 'whole' },
    ],
    [
      'a longer fence around a shorter one',
      '````\ndef twice(x):\n    """\n```\n"""\n````',
      'twice',
      expect.objectContaining({ code: 'def twice(x):\n    """\n```\n"""\n' }),
    ],
  ])('finds %s', (_, text, name, expected) => {
    expect(extractCode(text, name)).toEqual(expected);
  });
});

describeWithSandbox('SandboxedCode', () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await openSandbox();
  });
  afterEach(() => jest.restoreAllMocks());
  const score = (
    answers: readonly string[],
    info: Record<string, unknown>,
    options: Partial<SandboxedCodeOptions> = {},
  ) =>
    new SandboxedCode({ sandbox, timeoutMs: 3000, ...options }).score(
      answers.map((text) => sampleOf(text, { info })),
    );

  const ANSWERS = [
    RIGHT,
    'def twice(x):\n    return x + x',
    fenced('def twice(x):\n    return x * 2'),
    fenced('def twice(x):\n    return 2 * x if x else 7'),
    fenced('def twice(x):\n    return x'),
    'No idea.',
    '',
  ];

  it('pays for passing all tests, whatever their form', async () => {
    const scores = [1, 1, 1, 0, 0, 0, 0];
    expect(await score(ANSWERS, { tests: TESTS, entryPoint: 'twice' })).toEqual(scores);
    expect(await score(ANSWERS, { tests: TESTS.join('\n') })).toEqual(scores);
    const setUp = `def double(x):\n    return twice(x)\n${TESTS.join('\n').replaceAll('twice', 'double')}`;
    expect(await score([RIGHT], { tests: setUp })).toEqual([1]);
    expect(await score([RIGHT], { tests: 'def check(f):\n    assert f(1) == 2\ncheck(twice)' })).toEqual([1]);
  });

  it('pays the share that passes, if asked to', async () => {
    const scores = await score(ANSWERS, { tests: TESTS }, { score: 'share' });
    expect(scores).toEqual([1, 1, 1, 2 / 3, 1 / 3, 0, 0]);
  });

  it('pays nothing for what does not end, or takes too much', async () => {
    const answers = [
      fenced('def twice(x):\n    while x == []: pass\n    return x + x'),
      fenced('import os\nwhile True:\n    try: os.fork()\n    except OSError: pass'),
    ];
    expect(await score(answers, { tests: TESTS }, { score: 'share', timeoutMs: 700 })).toEqual([0, 0]);
  });

  it('abstains without tests', async () => {
    expect(await score([RIGHT], {})).toEqual([null]);
    expect(await score([RIGHT], { tests: [] })).toEqual([null]);
    expect(await score([RIGHT], { tests: null })).toEqual([null]);
    expect(await score([], { tests: TESTS })).toEqual([]);
  });

  it('throws for tests that are none, with the sample to blame', async () => {
    expectError(await rejectionOf(score([RIGHT], { tests: 5 })), 'INVALID_ARGUMENT', /`info.tests`/);
    expectError(
      await rejectionOf(score([RIGHT], { tests: TESTS, entryPoint: 'a b' })),
      'INVALID_ARGUMENT',
      /`info.entryPoint`/,
    );
    const samples = [
      sampleOf(RIGHT, { info: { tests: TESTS } }),
      sampleOf(RIGHT, { info: { tests: 'assert (' } }),
    ];
    const error = await rejectionOf(new SandboxedCode({ sandbox }).score(samples));
    expectError(error, 'REWARD_FAILED', /sample 1 .*SyntaxError/);
    expect(error).toMatchObject({ sampleIndex: 1 });
    const acting = { tests: 'import os\nassert twice(1) == 2' };
    expectError(await rejectionOf(score([RIGHT], acting, { plainTests: true })), 'REWARD_FAILED', /NotPlain/);
  });

  it('throws if the sandbox fails: an answer must not pay for that', async () => {
    jest.spyOn(sandbox, 'run').mockRejectedValue(new LspError('SANDBOX_UNAVAILABLE', 'Expected a sandbox.'));
    expectError(await rejectionOf(score([RIGHT], { tests: TESTS })), 'REWARD_FAILED', /Expected a sandbox/);
  });

  it('is aborted with the reason, and soon', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const samples = ANSWERS.map(() => sampleOf(fenced('while True: pass'), { info: { tests: TESTS } }));
    setTimeout(() => controller.abort(reason), 300);
    const started = performance.now();
    const reward = new SandboxedCode({ sandbox, timeoutMs: 20_000 });
    await expect(reward.score(samples, { signal: controller.signal })).rejects.toBe(reason);
    expect(performance.now() - started).toBeLessThan(5000);
    const timed = scoreSamples(reward, samples.slice(0, 1), { timeoutMs: 300 });
    expectError(await rejectionOf(timed), 'REWARD_FAILED', /no score within 300 ms/);
  });

  it('needs an open sandbox, and knows its options', () => {
    expectError(
      errorOf(() => new SandboxedCode({} as never)),
      'INVALID_ARGUMENT',
      /`sandbox`.*Sandbox\.open/,
    );
    expectError(
      errorOf(() => new SandboxedCode({ sandbox, unsafe: true } as never)),
      'UNKNOWN_OPTION',
      /unsafe/,
    );
    expectError(
      errorOf(() => new SandboxedCode({ sandbox, score: 'some' as never })),
      'INVALID_ARGUMENT',
      /`score`/,
    );
  });
});
