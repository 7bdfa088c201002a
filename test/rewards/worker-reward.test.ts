/**
 * A reward module in its worker. The time limits of hanging samples are short, since they are waited for in full;
 * all others are long, so that a loaded machine cannot turn a slow start into a failure.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LspError } from '../../lib/errors';
import { RewardError, scoreSamples } from '../../lib/rewards/reward';
import { WorkerReward, type WorkerRewardOptions } from '../../lib/rewards/worker-reward';
import { sampleOf } from './samples';

const GENEROUS_MS = 60_000;
const SHORT_MS = 300;

let directory: string;
const open: WorkerReward[] = [];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lsp-reward-'));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((reward) => reward.dispose()));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
function moduleOf(source: string, extension = 'cjs'): string {
  const path = join(directory, `reward-${files++}.${extension}`);
  writeFileSync(path, source);
  return path;
}

function rewardOf(
  source: string,
  options: Partial<WorkerRewardOptions> = {},
  extension = 'cjs',
): WorkerReward {
  const reward = new WorkerReward({
    module: moduleOf(source, extension),
    name: 'mine',
    timeoutMs: GENEROUS_MS,
    startTimeoutMs: GENEROUS_MS,
    ...options,
  });
  open.push(reward);
  return reward;
}

const answers = (...texts: string[]) => texts.map((text, index) => sampleOf(text, { index }));

async function failureOf(promise: Promise<unknown>): Promise<RewardError> {
  const error: unknown = await promise.then(
    (value) => new Error(`no failure but ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof RewardError)) throw error;
  expect(error.code).toBe('REWARD_FAILED');
  return error;
}

/** Fails in its own way for the answer "bad", scores the length of others. */
const failing = (statement: string) =>
  `module.exports = (sample) => { if (sample.answer === 'bad') { ${statement} } return sample.answer.length / 10; };`;

describe('modules', () => {
  const esm = 'export default (sample) => sample.answer.length; export const half = () => 0.5;';
  const cases: [string, string, string, Partial<WorkerRewardOptions>, (number | null)[]][] = [
    ['a CommonJS function', 'cjs', 'module.exports = (s) => s.answer.length;', {}, [1, 3]],
    ['a .js function', 'js', 'module.exports = (s) => s.answer.length;', {}, [1, 3]],
    ['an asynchronous function', 'cjs', 'module.exports = async (s) => s.answer.length;', {}, [1, 3]],
    [
      'exports.default',
      'cjs',
      'exports.__esModule = true; exports.default = (s) => s.answer.length;',
      {},
      [1, 3],
    ],
    [
      'a named CommonJS export',
      'cjs',
      'module.exports = { half: () => 0.5 };',
      { export: 'half' },
      [0.5, 0.5],
    ],
    ['an ES module', 'mjs', esm, {}, [1, 3]],
    ['a named ES export', 'mjs', esm, { export: 'half' }, [0.5, 0.5]],
    ['a reward object', 'cjs', 'module.exports = { score: (all) => all.map((s, i) => i) };', {}, [0, 1]],
    [
      'a class',
      'mjs',
      'export default class { score(all) { return all.map(() => this.x); } x = 2; }',
      {},
      [2, 2],
    ],
    ['an abstention', 'cjs', 'module.exports = () => null;', {}, [null, null]],
  ];
  it.each(cases)('%s', async (_name, extension, source, options, expected) => {
    const reward = rewardOf(source, options, extension);
    await expect(reward.score(answers('a', 'abc'))).resolves.toEqual(expected);
  });

  it('takes a file: URL', async () => {
    const reward = rewardOf('', { module: pathToFileURL(moduleOf('module.exports = () => 1;')).href });
    await expect(reward.score(answers('a'))).resolves.toEqual([1]);
  });

  it('takes TypeScript with a loader', async () => {
    const source = 'export default (sample: { answer: string }): number => sample.answer.length;';
    const execArgv = ['--require', require.resolve('ts-node/register/transpile-only')];
    const reward = rewardOf(source, { execArgv }, 'ts');
    await expect(reward.score(answers('abc'))).resolves.toEqual([3]);
  });

  it('sees the constraints, the completion and the position of a sample', async () => {
    const source =
      'module.exports = (s) => s.info.constraints.length + s.completion.tokens[0] + s.queryIndex + s.answerIndex;';
    const completion = { ...sampleOf('').completion, tokens: Int32Array.of(100) };
    const sample = sampleOf('a', {
      completion,
      info: { constraints: [1, 2] },
      queryIndex: 10,
      answerIndex: 5,
    });
    await expect(rewardOf(source).score([sample])).resolves.toEqual([117]);
  });

  it('keeps its thread, and the module its state, between calls', async () => {
    const reward = rewardOf('let calls = 0; module.exports = () => ++calls;');
    await expect(reward.score(answers('a', 'b'))).resolves.toEqual([1, 2]);
    await expect(reward.score(answers('c'))).resolves.toEqual([3]);
  });

  it('answers overlapping calls one after the other', async () => {
    const reward = rewardOf('let calls = 0; module.exports = async () => ++calls;');
    const scores = await Promise.all([reward.score(answers('a', 'b')), reward.score(answers('c', 'd'))]);
    expect(scores).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('ignores messages that the module posts itself', async () => {
    const source = `const { parentPort } = require('node:worker_threads');
      module.exports = () => { parentPort.postMessage({ id: 1, scores: [9] }); parentPort.postMessage(7); return 1; };`;
    await expect(rewardOf(source).score(answers('a'))).resolves.toEqual([1]);
  });

  it('scores nothing without starting a thread', async () => {
    const reward = rewardOf('throw new Error("not to be loaded")');
    await expect(reward.score([])).resolves.toEqual([]);
  });
});

describe('failures name the sample, and the next call works', () => {
  const cases: [string, string, RegExp][] = [
    ['a throw', 'throw new Error("no idea");', /sample 1 .*exception: no idea/],
    ['a rejection', 'return Promise.reject(new Error("later"));', /sample 1 .*exception: later/],
    ['a thrown string', 'throw "just text";', /sample 1 .*exception: just text/],
    ['NaN', 'return NaN;', /finite number or null for sample 1 .*NaN/],
    ['Infinity', 'return Infinity;', /sample 1 .*Infinity/],
    ['a string', 'return "0.5";', /sample 1 .*the string "0.5"/],
    ['nothing', 'return;', /sample 1 .*undefined/],
    ['a function', 'return () => 1;', /sample 1 .*a value of type function/],
    ['an array', 'return [1];', /sample 1 .*a value of type object/],
    ['process.exit', 'process.exit(3);', /sample 1 .*exit of its worker with code 3/],
    [
      'an exception outside the call',
      'return new Promise(() => setTimeout(() => { throw new Error("late"); }, 1));',
      /sample 1 .*crash of its worker: .*late/,
    ],
    [
      'an unhandled rejection',
      'Promise.reject(new Error("lost")); return new Promise(() => {});',
      /sample 1 .*lost/,
    ],
  ];
  it.each(cases)('%s', async (_name, statement, message) => {
    const reward = rewardOf(failing(statement));
    const error = await failureOf(reward.score(answers('abc', 'bad', 'abcd')));
    expect(error.sampleIndex).toBe(1);
    expect(error.message).toMatch(message);
    await expect(reward.score(answers('abcde'))).resolves.toEqual([0.5]);
  });

  const hangs: [string, string][] = [
    ['an endless loop', 'for (;;) {}'],
    ['a promise that stays open', 'return new Promise(() => setInterval(() => {}, 10));'],
  ];
  it.each(hangs)('%s is ended after the time limit', async (_name, statement) => {
    const reward = rewardOf(failing(statement), { timeoutMs: SHORT_MS });
    const error = await failureOf(reward.score([sampleOf('bad')]));
    expect(error.sampleIndex).toBe(0);
    expect(error.message).toMatch(
      `sample 0 from reward \`mine\` but received no score within ${SHORT_MS} ms`,
    );
  });

  it('has a thread killed in its loop replaced by a fresh one', async () => {
    const source = `const fs = require('node:fs'); const flag = ${JSON.stringify(join(directory, 'flag'))};
      module.exports = () => { if (!fs.existsSync(flag)) { fs.writeFileSync(flag, ''); for (;;) {} } return 1; };`;
    const reward = rewardOf(source, { timeoutMs: 2000 });
    await failureOf(reward.score(answers('a')));
    await expect(reward.score(answers('a'))).resolves.toEqual([1]);
  });

  it('memory beyond its limit ends the worker, not the process', async () => {
    const source = failing('const all = []; for (;;) all.push(new Array(1e4).fill(Math.random()));');
    const reward = rewardOf(source, { resourceLimits: { maxOldGenerationSizeMb: 32 } });
    const error = await failureOf(reward.score(answers('bad')));
    expect(error.message).toMatch(/crash of its worker: .*memory/);
  });

  it('keeps the cause with its stack', async () => {
    const reward = rewardOf('module.exports = function mine() { throw new TypeError("deep"); };');
    const { cause } = await failureOf(reward.score(answers('a')));
    expect((cause as Error).message).toBe('deep');
    expect((cause as Error).stack).toMatch(/at mine .*reward-\d+\.cjs/);
  });

  it('a sample that cannot be copied', async () => {
    const reward = rewardOf('module.exports = () => 1;');
    const error = await failureOf(reward.score([sampleOf('a'), sampleOf('b', { info: { f: () => 1 } })]));
    expect(error.sampleIndex).toBe(1);
    expect(error.message).toMatch(/plain data/);
  });

  it.each([
    ['too few scores', '[1]', /Expected 2 scores, one per sample, .*1 scores/],
    ['no array', '0.5', /Expected 2 scores/],
    ['NaN in an array', '[1, NaN]', /sample 1 .*NaN/],
  ])('a reward object that returns %s', async (_name, value, message) => {
    const reward = rewardOf(`module.exports = { score: () => ${value} };`);
    const error = await failureOf(reward.score(answers('a', 'b')));
    expect(error.message).toMatch(message);
  });

  it.each([
    ['throws', 'throw new Error("at the top")', /to load but received an exception: at the top/],
    ['does not parse', 'const = 1', /to load but received an exception: .*token/i],
    ['exports no function', 'module.exports = 3', /Expected a function or a reward as export `default`/],
    ['exits', 'process.exit(0)', /exit of its worker with code 0/],
  ])('a module that %s', async (_name, source, message) => {
    const error = await failureOf(rewardOf(source).score(answers('a')));
    expect(error.message).toMatch(message);
    expect(error.sampleIndex).toBeNull();
  });

  it('Node options that a worker does not take', async () => {
    const error = await failureOf(
      rewardOf('', { execArgv: ['--expose-gc', '--no-such'] }).score(answers('a')),
    );
    expect(error.message).toMatch(/a worker that cannot start: .*--no-such/);
  });

  it('a module that hangs while it loads', async () => {
    const error = await failureOf(rewardOf('for (;;) {}', { startTimeoutMs: SHORT_MS }).score(answers('a')));
    expect(error.message).toMatch(`to load but received nothing within ${SHORT_MS} ms`);
  });

  it('does not take a blocked event loop for a slow reward', async () => {
    const reward = rewardOf('module.exports = () => 1;', { timeoutMs: 1000 });
    await reward.score(answers('a')); // loaded
    const scored = reward.score(answers('a'));
    await new Promise((resolve) => setImmediate(resolve)); // the request is on its way
    const until = Date.now() + 2000;
    while (Date.now() < until);
    await expect(scored).resolves.toEqual([1]);
  });
});

describe('abort and dispose', () => {
  it('rejects with the reason of the signal, in the middle of a loop, and works afterwards', async () => {
    const reward = rewardOf(failing('for (;;) {}'));
    await reward.score(answers('a'));
    const controller = new AbortController();
    const scored = reward.score(answers('bad'), { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(scored).rejects.toThrow('enough');
    await expect(reward.score(answers('abc'))).resolves.toEqual([0.3]);
  });

  it('rejects at once when the signal is aborted already', async () => {
    const reward = rewardOf('module.exports = () => 1;');
    await expect(reward.score(answers('a'), { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow(
      'no',
    );
  });

  it('is passed on by scoreSamples with its index', async () => {
    const reward = rewardOf(failing('throw new Error("no idea");'));
    const error = await failureOf(scoreSamples(reward, answers('a', 'b', 'bad'), { timeoutMs: GENEROUS_MS }));
    expect(error.sampleIndex).toBe(2);
  });

  it('dispose ends a call under way, twice does no harm, and later calls are refused', async () => {
    const reward = rewardOf(failing('for (;;) {}'));
    await reward.score(answers('a'));
    const scored = reward.score(answers('bad'));
    const refused = expect(scored).rejects.toMatchObject({ code: 'DISPOSED' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await Promise.all([reward.dispose(), reward.dispose()]);
    await refused;
    await reward.dispose();
    await expect(reward.score(answers('a'))).rejects.toMatchObject({ code: 'DISPOSED' });
  });
});

describe('an idle worker', () => {
  it('lets the process end, and prints to standard error', () => {
    const script = join(directory, 'main.cjs');
    const library = join(__dirname, '../../lib/rewards/worker-reward.ts');
    const module = moduleOf('module.exports = () => { console.log("printed by the reward"); return 0.5; };');
    writeFileSync(
      script,
      `const { WorkerReward } = require(${JSON.stringify(library)});
      const reward = new WorkerReward({ module: ${JSON.stringify(module)}, timeoutMs: ${GENEROUS_MS} });
      reward.score([{ answer: 'a' }]).then((scores) => console.log(JSON.stringify(scores)));`,
    );
    const register = require.resolve('ts-node/register/transpile-only');
    // Without an end by itself the time limit would end it, with status null.
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--require', register, script], {
      cwd: join(__dirname, '../..'),
      encoding: 'utf8',
      timeout: GENEROUS_MS,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '[0.5]\n' });
    expect(stderr).toContain('printed by the reward');
  });
});

describe('options', () => {
  const codeOf = (make: () => unknown): string => {
    try {
      make();
    } catch (error) {
      if (error instanceof LspError) return error.code;
    }
    return 'none';
  };
  it('are checked when the reward is made', () => {
    const module = moduleOf('');
    expect(codeOf(() => new WorkerReward({ module: './not/there.js' }))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => new WorkerReward({ module: '' }))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => new WorkerReward({ module, timeoutMs: 0 }))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => new WorkerReward({ module, timeoutMs: 2 ** 32 }))).toBe('INVALID_ARGUMENT');
    expect(codeOf(() => new WorkerReward({ module, timeout: 3 } as never))).toBe('UNKNOWN_OPTION');
  });
});
