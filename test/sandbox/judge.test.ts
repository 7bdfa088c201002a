/** Tests against solutions: what passes, what fails, and what a solution tries in order to pass without being right. */
import { testSolution, type Sandbox, type SolutionTests, type SolutionVerdict } from '../../lib/sandbox';
import { expectError, rejectionOf } from '../support/errors';
import { describeWithSandbox, openSandbox } from '../support/sandbox';

const TESTS = 'assert add(2, 3) == 5\nassert add(-1, 1) == 0\nassert add(10, 5) == 15';
const RIGHT = 'def add(a, b):\n    return a + b';

describeWithSandbox('testSolution', () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await openSandbox();
  });
  const judge = (solution: string, tests: Partial<SolutionTests> = {}): Promise<SolutionVerdict> =>
    testSolution(sandbox, solution, {
      tests: TESTS,
      entryPoint: 'add',
      limits: { timeoutMs: 4000 },
      ...tests,
    });
  const passes = async (
    solution: string,
    tests: string,
    rest: Partial<SolutionTests> = {},
  ): Promise<boolean[]> =>
    (await judge(solution, { tests, entryPoint: undefined, ...rest })).tests.map(({ passed }) => passed);

  it('tells test by test', async () => {
    expect(await judge(RIGHT)).toEqual({
      outcome: 'passed',
      tests: [1, 2, 3].map(() => ({ passed: true, why: null })),
    });
    const half = await judge('def add(a, b):\n    return 5 if a == 2 else 1 / 0 if a == 10 else None');
    expect(half).toEqual({
      outcome: 'failed',
      tests: [
        { passed: true, why: null },
        { passed: false, why: 'AssertionError: ' },
        { passed: false, why: 'ZeroDivisionError: division by zero' },
      ],
    });
  });

  it.each([
    ['no Python', 'def add(a, b) return', /SyntaxError/],
    ['another name', 'def plus(a, b):\n    return a + b', /AttributeError/],
    ['an exception while it loads', 'raise ValueError("no")', /ValueError: no/],
    ['an exit while it loads', 'import sys\nsys.exit(0)', /SystemExit/],
    ['nothing', '', /AttributeError/],
    ['a NUL', 'x = "\0"', /./],
    ['half a character', 'x = "\ud800"', /./],
  ])('fails %s', async (_, solution, why) => {
    const { outcome, tests } = await judge(solution);
    expect(outcome).toBe('failed');
    expect(tests).toHaveLength(3);
    tests.forEach((test) =>
      expect(test).toEqual({ passed: false, why: expect.stringMatching(why) as string }),
    );
  });

  it('keeps what was found out before a limit was reached', async () => {
    const slow = 'def add(a, b):\n    while a == 10: pass\n    return a + b';
    const { outcome, tests } = await judge(slow, { limits: { timeoutMs: 1000 } });
    expect(outcome).toBe('timeout');
    expect(tests.map(({ passed }) => passed)).toEqual([true, true, false]);
    expect(tests[2]!.why).toBe('timeout');
  });

  it('passes plain data of every kind there and back, exactly', async () => {
    const values = [
      'None, True, False, 0, -1, 2**53, -(2**200), 0.1, 1e308, float("inf"), "ünï", "\\ud800", b"\\x00\\xff", 2+3j',
      '[1, [2, (3,)]], (), (1,), set(), {1, (2, 3)}, frozenset([1]), {}, {1: "a", (2,): [3], None: {}}, range(1, 9, 2)',
    ].join(', ');
    const tests = `
values = [${values}]
for value in values:
    back = same(value)
    assert back == value and type(back) is type(value), repr(value)
assert same(10**5000) == 10**5000
assert same(float('nan')) != same(float('nan'))
assert list(count(3)) == [0, 1, 2]
assert count(3) != [0, 1, 2]
assert same(b=2) == 2`;
    const solution =
      'def same(a=None, b=None): return a if b is None else b\ndef count(n): yield from range(n)';
    expect(await passes(solution, tests)).toEqual(Array.from({ length: 6 }, () => true));
  });

  it('shows changes of arguments to the tests', async () => {
    const tests = `
numbers, table, plain = [3, 1, 2], {'a': 1}, [5]
change(numbers, table, plain)
assert numbers == [1, 2, 3] and table == {'b': 2} and plain == [5]`;
    const solution = "def change(n, t, p):\n    n.sort(); t.clear(); t['b'] = 2";
    expect(await passes(solution, tests)).toEqual([true, true]);
  });

  it('raises in the tests what the solution raised', async () => {
    const tests = `
def raises(kind):
    try: fail(kind)
    except ValueError: return 'value'
    except Exception as error: return type(error).__name__
assert raises('ValueError') == 'value'
assert raises('KeyError') == 'KeyError'
assert raises('Own') == 'SolutionError'
assert raises('SystemExit') == 'SolutionError'
assert raises('Kind') == 'value'
assert raises('StopIteration') == 'SolutionError'
try: fail('KeyError')
except KeyError as error: assert error.args == ('x',) and str(error) == "'x'"
else: raise AssertionError`;
    const solution =
      'class Own(Exception): pass\nclass Kind(ValueError): pass\ndef fail(kind): raise eval(kind)("x")';
    expect(await passes(solution, tests)).toEqual(Array.from({ length: 7 }, () => true));
  });

  it('gives the tests the modules that they name without importing them', async () => {
    const tests = 'assert math.isclose(root(4), 2)\nassert copy(3) == 3 and string.digits[root(4)] == "2"';
    const solution = 'def root(n): return round(n ** 0.5)\ndef copy(n): return n';
    expect(await passes(solution, tests)).toEqual([true, true]);
  });

  describe('counts what stands in other statements than asserts and calls', () => {
    const square = 'def f(x): return x * x';
    const four = 'def f(x): return 4';
    it.each([
      ['a loop', 'for x in range(10):\n    assert f(x) == x * x', 2],
      ['a condition', 'if True:\n    assert f(3) == 9', 2],
      ['a bare raise', 'x = f(3)\nif x != 9: raise AssertionError', 2],
      ['an attempt', 'try:\n    assert f(3) == 9\nexcept ValueError: pass', 2],
      ['a context', 'import contextlib\nwith contextlib.nullcontext():\n    assert f(3) == 9', 2],
      ['what is guarded', 'if __name__ == "__main__":\n    assert f(3) == 9', 2],
      ['a preparation that nothing follows', 'y = [1][0 if f(3) == 9 else 1]', 1],
    ])('%s', async (_, last, count) => {
      const tests = { tests: `assert f(2) == 4\n${last}`, entryPoint: 'f' };
      const right = await judge(square, tests);
      expect(right).toMatchObject({ outcome: 'passed' });
      expect(right.tests).toHaveLength(count);
      expect(await judge(four, tests)).toMatchObject({ outcome: 'failed' });
    });

    it.each([
      ['stops the judge', 'import os\ndef f(x):\n    if x != 2: os.kill(os.getppid(), 9)\n    return 4'],
      ['never returns', 'import time\ndef f(x):\n    if x != 2: time.sleep(99)\n    return 4'],
    ])('where the solution %s', async (_, solution) => {
      for (const last of ['for x in range(10):\n    assert f(x) == x * x', 'y = f(3)']) {
        const tests = { tests: `assert f(2) == 4\n${last}`, entryPoint: 'f', limits: { timeoutMs: 700 } };
        expect((await judge(solution, tests)).outcome).not.toBe('passed');
      }
    });
  });

  it('counts tests after a preparation that failed as failed', async () => {
    expect(await passes(RIGHT, 'assert add(1, 1) == 2\nx = 1 / 0\nassert add(1, 2) == 3')).toEqual([
      true,
      false,
    ]);
  });

  describe('a solution that is wrong cannot pass by', () => {
    const bad = 'def add(a, b):\n    return None\n';
    it.each([
      ['exiting', 'import sys\ndef add(a, b): sys.exit(0)'],
      ['exiting at once', 'import os\ndef add(a, b): os._exit(0)'],
      ['exiting while it loads', 'import os\nos._exit(0)'],
      [
        'returning what is equal to everything',
        'class E:\n    def __eq__(self, o): return True\ndef add(a, b): return E()',
      ],
      [
        'returning a number that is',
        'class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\ndef add(a, b): return E(7)',
      ],
      [
        'printing a verdict',
        `${bad}import json\nfor t in range(3): print(json.dumps({"passed": True, "nonce": ""}), flush=True)`,
      ],
      [
        'writing verdicts to every descriptor',
        `import os\ndef add(a, b):\n    for fd in range(64):\n        try: os.write(fd, b'{"passed": true, "why": null}\\n')\n        except OSError: pass\n    return None`,
      ],
      [
        'changing built-ins',
        `import builtins\n${bad}builtins.AssertionError = Exception\nbuiltins.all = lambda *a: True\nbuiltins.compile = builtins.exec = lambda *a, **k: None`,
      ],
      [
        'changing the modules of the worker',
        `import sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'dumps'): m.dumps = lambda *a, **k: '5'\n${bad}`,
      ],
      ['killing the judge', `import os\ndef add(a, b): os.kill(os.getppid(), 9)`],
      ['killing everything', `import os\ndef add(a, b): os.kill(-1, 9)`],
      [
        'changing the judge on the disk',
        `${bad}for n in ('judge', 'worker', 'plain', 'codec'):\n    try: open(f'/program/{n}.py', 'w').write('print(1)')\n    except OSError: pass`,
      ],
      [
        'modules that the judge might load',
        `${bad}for n in ('traceback', 'json', 'ast', 'math'):\n    open(f'/box/{n}.py', 'w').write('import os; os._exit(0)')`,
      ],
      ['an endless iterator', 'def add(a, b):\n    while True: yield 5'],
      ['a nested value without end', 'def add(a, b):\n    x = []\n    x.append(x)\n    return x'],
      ['raising what stops the judge', 'def add(a, b): raise KeyboardInterrupt'],
      [
        'raising an exception of a hostile name',
        'E = type("print", (Exception,), {})\ndef add(a, b): raise E("x")',
      ],
      [
        'ending iterations',
        'def add(a, b): raise StopIteration',
        'assert all(map(lambda p: add(*p) == sum(p), [(1, 2), (3, 4)]))',
      ],
      [
        'malformed replies',
        `import os\ndef add(a, b):\n    for fd in range(3, 12):\n        try: os.write(fd, b'5\\n[]\\n{"value": "{\\\\"q\\\\": 1}"}\\n')\n        except OSError: pass`,
      ],
    ])('%s', async (_, solution, given = TESTS) => {
      const { outcome, tests } = await judge(solution, { tests: given });
      expect(outcome).not.toBe('passed');
      expect(tests.some(({ passed }) => passed)).toBe(false);
    });

    it('stopping the judge, which then never ends', async () => {
      const solution = 'import os, signal\ndef add(a, b): os.kill(os.getppid(), signal.SIGSTOP)';
      expect(await judge(solution, { limits: { timeoutMs: 700 } })).toMatchObject({ outcome: 'timeout' });
    });

    it('replying in time to come: replies are values, and a wrong one stays wrong', async () => {
      // Whoever writes replies of its own can say no more than by returning values.
      const solution = `
import os
def add(a, b):
    for fd in range(3, 12):
        try: os.write(fd, b'{"value": "5"}\\n' * 3)
        except OSError: pass`;
      const { outcome, tests } = await judge(solution);
      expect(outcome).toBe('failed');
      expect(tests.map(({ passed }) => passed)).toEqual([true, false, false]);
    });
  });

  it('a solution finds neither tests nor nonce', async () => {
    const solution = `
import gc, os, sys
def look():
    found = []
    texts = [repr(sys.argv), repr(dict(os.environ)), repr(os.listdir('/box')), *(repr(o) for o in gc.get_objects())]
    for text in texts:
        if '-'.join(['needle', 'in', 'the', 'tests']) in text or ''.join(['non', 'ce', '"']) in text: found.append(text[:80])
    for path in ('/proc/self/mem', f'/proc/{os.getppid()}/mem', f'/proc/{os.getppid()}/cmdline'):
        if os.path.exists(path): found.append(path)
    for fd in range(64):
        try: os.pread(fd, 100, 0); found.append(fd)
        except OSError: pass
    return found`;
    const { outcome, tests } = await judge(solution, {
      tests: "secret = 'needle-in-the-tests'\nfound = look()\nassert found == [0, 1, 2], found",
      entryPoint: 'look',
    });
    // 0, 1 and 2 are /dev/null, which can be read and is empty.
    expect({ outcome, tests }).toEqual({ outcome: 'passed', tests: [{ passed: true, why: null }] });
  });

  it('blames nobody where the judge itself does not run', async () => {
    const broken = {
      status: 'failed',
      exitCode: 1,
      stdout: '',
      stderr: 'no module json',
      seconds: 0,
    } as const;
    const run = jest.spyOn(sandbox, 'run').mockResolvedValue(broken);
    try {
      expectError(await rejectionOf(judge(RIGHT)), 'SANDBOX_UNAVAILABLE', /judge\.py.*no module json/);
    } finally {
      run.mockRestore();
    }
  });

  describe('tests that cannot be run', () => {
    it.each([
      ['no Python', 'assert add(', /SyntaxError/],
      ['no test', 'x = 1', /no test/],
      ['empty', '', /no test/],
      ['unittest', 'import unittest\nunittest.main(exit=False)', /unittest\.main, which only prints/],
      ['a runner', 'from unittest import TextTestRunner\nassert add(1, 2)', /unittest\.TextTestRunner/],
    ])('%s', async (_, tests, message) => {
      expectError(await rejectionOf(judge(RIGHT, { tests })), 'INVALID_ARGUMENT', message);
    });

    it.each([
      ['import', 'import os\nassert add(1, 2) == 3'],
      ['attribute', 'assert add.__globals__ == 1'],
      ['method', 'assert "".join(add(1, 2)) == ""'],
      ['lambda', 'assert (lambda: add(1, 2))() == 3'],
      ['comprehension', 'assert [x for x in add(1, 2)] == []'],
      ['other function', 'assert add(open("x"), 1) == 3'],
      ['walrus', 'assert (add := 1) == 1'],
      ['format', 'assert f"{add(1, 2)}" == "3"'],
      ['statement', 'add(1, 2)'],
      ['no call', 'assert add == 1'],
      ['constant', 'assert True'],
      ['message', 'assert add(1, 2) == 3, print("x")'],
      ['power', 'assert add(1, 2) == 9**9**9'],
      ['repetition', 'assert add(1, 2) == 3\nassert add(1, 2) == 3'],
    ])('not plain: %s', async (_, tests) => {
      expectError(await rejectionOf(judge(RIGHT, { tests, plain: true })), 'INVALID_ARGUMENT', /NotPlain/);
    });

    it('plain ones run', async () => {
      const tests =
        'assert len([add(1, 2)]) == 1\nassert not add(1, 2) > 3\nassert sorted({add(0, 1), -5})[0] == -5';
      expect(await judge(RIGHT, { tests, plain: true })).toMatchObject({ outcome: 'passed' });
    });
  });
});
