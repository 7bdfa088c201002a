/** AlpacaEval: data, both orders, and verdicts; see judges.test.ts for its judges. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChatEndpoint } from '../../../lib/endpoint';
import { runEvaluation } from '../../../lib/eval';
import {
  AlpacaEval,
  EndpointPairJudge,
  RewardPairJudge,
  type AlpacaEvalItem,
  type AlpacaEvalOptions,
  type AnswerPair,
  type PairJudge,
} from '../../../lib/eval/alpacaeval';
import type { AnsweredItem } from '../../../lib/eval/evaluation';
import { FakeModel } from '../../lsp/fakes';
import { refuses, says, startChatServer, type ChatServer } from '../../support/chat-server';
import { expectError, rejectionOf } from '../../support/errors';

const ROWS = [
  { dataset: 'koala', instruction: 'Say hello.', output: 'Hello!', generator: 'davinci' },
  { dataset: 'vicuna', instruction: 'Name a colour.', output: 'Blue', generator: 'davinci' },
  { dataset: 'koala', instruction: 'Say bye 🙂.', output: 'Bye 🙂', generator: 'davinci' },
];
const context = () => ({ signal: new AbortController().signal });

let directory: string;
let server: ChatServer | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lsp-alpaca-'));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

function file(name: string, content: unknown): string {
  const path = join(directory, name);
  const text =
    Array.isArray(content) && name.endsWith('l')
      ? content.map((row) => JSON.stringify(row)).join('\n')
      : JSON.stringify(content);
  writeFileSync(path, text);
  return path;
}

/** Prefers the longer answer, by how much longer it is, and likes the first place. */
class LengthJudge implements PairJudge {
  readonly name = 'length';
  readonly settings = { version: 1 };
  readonly seen: AnswerPair[] = [];
  bias = 0;
  async compare(pairs: readonly AnswerPair[]) {
    this.seen.push(...pairs);
    return pairs.map(({ first, second }) => ({
      preference: Math.min(1, (first.length + 1) / (first.length + second.length + 2) + this.bias),
    }));
  }
}

function load(options: Partial<AlpacaEvalOptions> = {}): Promise<AlpacaEval> {
  return AlpacaEval.load({ data: file('data.json', ROWS), judge: new LengthJudge(), ...options });
}

const answered = (evaluation: AlpacaEval, ...texts: string[]): AnsweredItem<AlpacaEvalItem>[] =>
  evaluation.items.slice(0, texts.length).map((item, i) => ({
    item,
    answers: [{ text: texts[i]!, finishReason: 'eos', tokens: 1 }],
  }));

describe('the data', () => {
  it('become items whose ids do not depend on their place', async () => {
    const evaluation = await load();
    expect(evaluation.items).toEqual([
      {
        id: expect.stringMatching(/^koala-[0-9a-f]{10}$/),
        subset: 'koala',
        instruction: 'Say hello.',
        baseline: 'Hello!',
      },
      {
        id: expect.stringMatching(/^vicuna-/),
        subset: 'vicuna',
        instruction: 'Name a colour.',
        baseline: 'Blue',
      },
      {
        id: expect.stringMatching(/^koala-/),
        subset: 'koala',
        instruction: 'Say bye 🙂.',
        baseline: 'Bye 🙂',
      },
    ]);
    const other = await load({ data: file('other.json', ROWS.toReversed()) });
    expect(other.items.toReversed()).toEqual(evaluation.items);
    expect(evaluation.prompt(evaluation.items[0]!)).toEqual([{ role: 'user', content: 'Say hello.' }]);
  });

  it('say what they are in the settings', async () => {
    const { settings } = await load();
    expect(settings).toEqual({
      judge: 'length',
      judgeSettings: { version: 1 },
      orders: 2,
      baseline: 'davinci',
      baselineAnswers: expect.stringMatching(/^[0-9a-f]{10}$/),
    });
    const changed = ROWS.map((row, i) => (i === 0 ? { ...row, output: 'Hi!' } : row));
    expect((await load({ data: file('other.json', changed) })).settings).not.toEqual(settings);
  });

  it('may have another baseline, of AlpacaEval or of an earlier evaluation', async () => {
    const others = ROWS.map(({ instruction }, i) => ({ instruction, output: `other ${i}`, generator: 'me' }));
    const rows = await load({ baseline: file('outputs.json', others.toReversed()) });
    expect(rows.items.map(({ baseline }) => baseline)).toEqual(['other 0', 'other 1', 'other 2']);
    expect(rows.settings).toMatchObject({ baseline: 'me' });
    const records = rows.items.map(({ id }, i) => ({
      id,
      answers: [{ text: `mine ${i}` }, { text: 'second' }],
    }));
    const earlier = await load({ baseline: file('answers.jsonl', records) });
    expect(earlier.items.map(({ baseline }) => baseline)).toEqual(['mine 0', 'mine 1', 'mine 2']);
  });

  it.each<[string, () => Partial<AlpacaEvalOptions>, string, RegExp]>([
    [
      'a gap in the baseline',
      () => ({
        baseline: file(
          'b.json',
          ROWS.slice(1).map(({ instruction, output }) => ({ instruction, output })),
        ),
      }),
      'INVALID_ARGUMENT',
      /received none to koala-/,
    ],
    [
      'a baseline of another shape',
      () => ({ baseline: file('b.json', [{ prompt: 'x' }]) }),
      'INVALID_ARGUMENT',
      /row 0 of .*received prompt/,
    ],
    [
      'a row twice',
      () => ({ data: file('d.json', [...ROWS, ROWS[0]]) }),
      'INVALID_ARGUMENT',
      /different instructions.*row 3/,
    ],
    [
      'a row without a subset',
      () => ({ data: file('d.json', [{ ...ROWS[0], dataset: undefined }]) }),
      'INVALID_ARGUMENT',
      /data\[0\]\.dataset/,
    ],
    ['no file', () => ({ data: '/not/there.json' }), 'IO_ERROR', /there\.json/],
    ['no judge', () => ({ judge: {} as never }), 'INVALID_ARGUMENT', /`judge`/],
    ['a misspelt option', () => ({ baselin: 'x' }) as never, 'UNKNOWN_OPTION', /`baseline`/],
    [
      'a difficulty that is none',
      () => ({ difficulties: { a: 'hard' } as never }),
      'INVALID_ARGUMENT',
      /difficulties/,
    ],
  ])('refused: %s', async (_name, options, code, message) => {
    expectError(await rejectionOf(load(options())), code as never, message);
  });

  const published = join(__dirname, '../../../../shared/data/alpaca_eval/text_davinci_003.json');
  if (!existsSync(published)) console.warn(`Skipped: the published data, which would be at ${published}.`);
  (existsSync(published) ? it : it.skip)('as published: 805 instructions of five kinds', async () => {
    const evaluation = await load({ data: published });
    expect(evaluation.items).toHaveLength(805);
    expect(new Set(evaluation.items.map(({ id }) => id)).size).toBe(805);
    expect(evaluation.metrics.map(({ name }) => name)).toEqual([
      'win_rate',
      'lc_win_rate',
      'win_rate_helpful_base',
      'win_rate_koala',
      'win_rate_oasst',
      'win_rate_selfinstruct',
      'win_rate_vicuna',
    ]);
    // The baseline against itself.
    const same = evaluation.items.map((item) => ({
      item,
      answers: [{ text: item.baseline, finishReason: 'eos' as const, tokens: 1 }],
    }));
    const judgements = await evaluation.judge(same, context());
    const verdicts = judgements.map((judgement) => ('verdict' in judgement ? judgement.verdict : null)!);
    for (const metric of evaluation.metrics) expect(metric.value(verdicts)).toBe(0.5);
  });
});

describe('judging', () => {
  it('shows each pair in both orders and takes the mean', async () => {
    const judge = new LengthJudge();
    judge.bias = 0.1;
    const evaluation = await load({ judge, difficulties: { 'Say hello.': 1.5 } });
    const judgements = await evaluation.judge(answered(evaluation, 'Hi', 'Green!', '🙂🙂'), context());
    expect(judge.seen.slice(0, 2)).toEqual([
      { instruction: 'Say hello.', first: 'Hi', second: 'Hello!' },
      { instruction: 'Say hello.', first: 'Hello!', second: 'Hi' },
    ]);
    expect(judge.seen).toHaveLength(6);
    const { verdict } = judgements[0] as { verdict: object };
    expect(verdict).toEqual({
      subset: 'koala',
      preference: expect.closeTo(0.3, 12),
      firstOrder: expect.closeTo(0.4, 12),
      swapped: expect.closeTo(0.2, 12),
      lengthCandidate: 2,
      lengthBaseline: 6,
      difficulty: 1.5,
    });
    // Characters, not UTF-16 units.
    expect(judgements[2]).toMatchObject({ verdict: { lengthCandidate: 2, lengthBaseline: 5 } });
  });

  it('gives a judge that always says "A" one half', async () => {
    server = await startChatServer(says('A'));
    const endpoint = new ChatEndpoint({ model: 'judge-1', baseUrl: server.baseUrl, cache: false });
    const evaluation = await load({ judge: new EndpointPairJudge(endpoint) });
    const judgements = await evaluation.judge(answered(evaluation, 'a', 'b', 'c'), context());
    for (const judgement of judgements) {
      expect(judgement).toMatchObject({ verdict: { preference: 0.5, firstOrder: 1, swapped: 0 } });
    }
    expect(server.calls).toHaveLength(6);
  });

  it('is the mean over several answers to an item', async () => {
    const evaluation = await load();
    const [item] = evaluation.items;
    const answers = ['Hello!', 'Hello!Hello!Hello!'].map((text) => ({
      text,
      finishReason: 'eos' as const,
      tokens: 1,
    }));
    const [judgement] = await evaluation.judge([{ item: item!, answers }], context());
    expect(judgement).toMatchObject({ verdict: { preference: (0.5 + 19 / 26) / 2, lengthCandidate: 12 } });
  });

  it('fails where one of the orders does, and goes on where it stopped', async () => {
    const bad = refuses(500, 'oops');
    server = await startChatServer((call, response) => {
      const { content } = call.body.messages[0]!;
      const broken = /=== answer A \w+ begins ===\nBlue/.test(content);
      return (broken ? bad : says('A', { A: 0.8, B: 0.2 }))(call, response);
    });
    const endpoint = () =>
      new ChatEndpoint({
        model: 'judge-1',
        baseUrl: server!.baseUrl,
        cache: join(directory, 'cache'),
        maxRetries: 0,
      });
    const evaluation = await load({ judge: new EndpointPairJudge(endpoint()) });
    const texts = answered(evaluation, 'a', 'b', 'c');
    const judgements = await evaluation.judge(texts, context());
    expect(judgements[1]).toEqual({ failed: 'status 500: "oops"' });
    expect(judgements[0]).toMatchObject({
      verdict: { preference: 0.5, firstOrder: expect.closeTo(0.8, 12) },
    });
    server.react = says('B', { A: 0.4, B: 0.6 });
    server.calls.length = 0;
    const again = await load({ judge: new EndpointPairJudge(endpoint()) });
    expect((await again.judge(texts, context()))[1]).toMatchObject({
      verdict: {
        firstOrder: expect.closeTo(0.8, 12),
        swapped: expect.closeTo(0.6, 12),
        preference: expect.closeTo(0.7, 12),
      },
    });
    expect(server.calls).toHaveLength(1);
  });

  it('throws for what makes going on useless, and for an abort', async () => {
    server = await startChatServer(refuses(401, 'bad key'));
    const endpoint = new ChatEndpoint({ model: 'judge-1', baseUrl: server.baseUrl, cache: false });
    const evaluation = await load({ judge: new EndpointPairJudge(endpoint) });
    expectError(
      await rejectionOf(evaluation.judge(answered(evaluation, 'a'), context())),
      'ENDPOINT_FAILED',
      /bad key/,
    );
    server.react = () => undefined;
    const judged = evaluation.judge(answered(evaluation, 'a'), { signal: AbortSignal.timeout(50) });
    await expect(judged).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('has an estimate before anything is answered, and in the middle', async () => {
    server = await startChatServer(says('A'));
    const endpoint = new ChatEndpoint({
      model: 'judge-1',
      baseUrl: server.baseUrl,
      cache: join(directory, 'cache'),
    });
    const evaluation = await load({ judge: new EndpointPairJudge(endpoint) });
    const prices = { prompt: 1e6, completion: 0 };
    const before = (await evaluation.estimate([], { prices }))!;
    expect(before).toMatchObject({ calls: 6, cachedCalls: 0, completionTokens: 6, countedBy: 'characters' });
    expect(before.cost).toBe(before.promptTokens);
    expect(await evaluation.estimate([], { limit: 1 })).toMatchObject({ calls: 2 });
    // Answers as long as the baseline's take what was estimated.
    const texts = answered(evaluation, 'Hola!!', 'Rosa', 'Hej !!');
    await evaluation.judge(texts.slice(0, 2), context());
    expect(await evaluation.estimate(texts)).toMatchObject({ calls: 2, cachedCalls: 4 });
    const asked = server.calls.map(({ body }) => Math.ceil(body.messages[0]!.content.length / 4));
    const rest = (await evaluation.estimate(texts))!.promptTokens;
    expect(asked.reduce((sum, tokens) => sum + tokens, 0) + rest).toBe(before.promptTokens);
    await expect((await load()).estimate()).resolves.toBeNull();
  });

  it('runs as any other evaluation', async () => {
    const evaluation = await load();
    const { metrics, failed } = await runEvaluation(evaluation, new FakeModel(), {
      out: join(directory, 'out'),
    });
    expect(failed).toEqual([]);
    expect(metrics.map(({ name, count }) => [name, count])).toEqual([
      ['win_rate', 3],
      ['lc_win_rate', 3],
      ['win_rate_koala', 2],
      ['win_rate_vicuna', 1],
    ]);
    for (const { value } of metrics) expect(value).toBeGreaterThan(0);
    const baseline = join(directory, 'out', 'answers.jsonl');
    const against = await load({ baseline });
    const second = await runEvaluation(against, new FakeModel(), {});
    expect(second.metrics.map(({ value }) => value)).toEqual([0.5, 0.5, 0.5, 0.5]);
  });

  it('asks a reward model in one order', async () => {
    const evaluation = await load({
      judge: new RewardPairJudge({
        scoreChats: async (chats) => chats.map(([, last]) => last!.content.length),
      }),
    });
    const [judgement] = await evaluation.judge(answered(evaluation, 'Hello!!'), context());
    const preference = 1 / (1 + Math.exp(-1));
    expect(judgement).toMatchObject({
      verdict: { preference: expect.closeTo(preference, 12), firstOrder: preference },
    });
    expect(evaluation.settings).toMatchObject({ orders: 1 });
  });
});
