/**
 * Mathematics: the Challenger writes problems in arithmetic, the Solver works them out. What is written, and where the
 * right answer comes from, are two choices:
 *
 * - Stories (default) are word problems. A sum stands before each, which a program evaluates exactly; that the story asks
 *   for this sum cannot be checked, only that its numbers are in it. A small model rarely gets that far.
 * - Sums are asked as they are. There is nothing to misunderstand, and how hard they are is still the Challenger's choice.
 * - Answers are checked (default) against the sum's value; or the right answer is what most of the Solver's answers say
 *   ('majority'), and stories need no sum.
 */
import {
  checkOptions,
  expectArray,
  expectInteger,
  expectOneOf,
  expectString,
  isRecord,
  invalid,
} from '../../options';
import type { ChatMessage } from '../../model/types';
import { MajorityVote } from '../../rewards/majority-vote';
import { MathAnswer, voteOf } from '../../rewards/math-answer';
import { canonicalAnswer, evaluateExpression } from '../../rewards/maths';
import type { Reward } from '../../rewards/reward';
import { allOf, copyGate, duplicateGate, lengthGate, markupGate, repetitionGate, scriptGate } from '../gates';
import { shuffledIndices } from '../random';
import type { ChallengerPrompt, ChallengerRequest, Gate, Query, Task } from '../types';
import {
  ASK_FOR_ANSWER,
  ASK_FOR_PROBLEM,
  MATHS_SYSTEM,
  ASK_FOR_SUM,
  MATHS_SYSTEM_WITHOUT_SUM,
  PROBLEM_EXAMPLES,
  SUMS_SYSTEM,
  type ProblemExample,
} from './mathematics-examples';

export interface MathematicsOptions {
  /** What the Challenger writes: word problems ('stories', default), or bare sums, for small models. */
  form?: 'stories' | 'sums';
  /** Where right answers come from: the sum's value ('checked', default), or the Solver's answers ('majority'). */
  answers?: 'checked' | 'majority';
  /** Worked examples shown to the Challenger, drawn anew for each draw from `examplePool`. Default 4. */
  examples?: number;
  examplePool?: readonly ProblemExample[];
  /** Least queries that see the same examples, and are each other's baseline. Default 4. */
  queriesPerDraw?: number;
}

/** What `Query.info` holds. */
export interface MathematicsInfo {
  /** Where answers are checked. */
  answer?: string;
  /** Where one was written. */
  sum?: string;
  operations?: number;
}

type Settings = Required<MathematicsOptions>;

const FORMS = ['stories', 'sums'] as const;

/** Sums whose value is beyond this are not asked: nobody's apples are that many. */
const MOST = 1_000_000;

/**
 * Arithmetic as a task of self-play; the reward that goes with it is `mathematicsReward`, the gate `mathematicsGate`.
 * Rejections of sums: `no-sum` (none that evaluates), `trivial` (no operation; where sums are asked, also a number as it
 * stands, 10 / 4), `odd-answer` (negative, above a million, or of more than two decimals). Of stories: `no-problem`,
 * `no-question` (no question mark), `numbers-missing` (a number of the sum is not told).
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function mathematics(options: MathematicsOptions = {}): Task {
  const settings = settle(options);
  return {
    name: `mathematics (${settings.form}, ${settings.answers})`,
    stop: hasTwoLines(settings) ? ['\n\n'] : ['\n'],
    challengerPrompt: (request) => promptOf(settings, request),
    parse: (text) => parse(settings, text),
    solverMessages: ({ text }) => [{ role: 'user', content: text }],
    difficulty: ({ core, info }) => (info as MathematicsInfo).operations ?? numbersOf(core).length,
  };
}

/** `MathAnswer` where answers are checked, otherwise a `MajorityVote` of equal answers. */
export function mathematicsReward(options: Pick<MathematicsOptions, 'answers'> = {}): Reward {
  const { answers = 'checked' } = checkOptions(options, ['answers'], 'mathematicsReward');
  return expectOneOf('answers', answers, ['checked', 'majority']) === 'checked'
    ? new MathAnswer()
    : new MajorityVote({ extract: (answer) => voteOf(answer) });
}

/**
 * Of stories: as `defaultGate`, with copies of this task's examples; the same story with other numbers is another problem.
 * Of sums: only the same sum is a duplicate.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function mathematicsGate(options: Pick<MathematicsOptions, 'form'> = {}): Gate {
  const { form = 'stories' } = checkOptions(options, ['form'], 'mathematicsGate');
  if (expectOneOf('form', form, FORMS) === 'sums') return duplicateGate({ threshold: 1 });
  return allOf(
    lengthGate({ minWords: 6, maxWords: 80 }),
    markupGate,
    repetitionGate,
    scriptGate(),
    copyGate(
      PROBLEM_EXAMPLES.map(({ problem }) => problem),
      0.9,
    ),
    duplicateGate({ threshold: 0.95 }),
  );
}

function settle(options: MathematicsOptions): Settings {
  const checked = checkOptions(
    options,
    ['form', 'answers', 'examples', 'examplePool', 'queriesPerDraw'],
    'mathematics',
  );
  const examplePool = checked.examplePool ?? PROBLEM_EXAMPLES;
  expectArray('examplePool', examplePool).forEach((example, index) => {
    if (!isRecord(example))
      throw invalid(`examplePool[${index}]`, 'an object with `sum` and `problem`', example);
    expectString(`examplePool[${index}].problem`, example.problem, { allowEmpty: false });
    expectString(`examplePool[${index}].sum`, example.sum);
  });
  return {
    form: expectOneOf('form', checked.form ?? 'stories', FORMS),
    answers: expectOneOf('answers', checked.answers ?? 'checked', ['checked', 'majority']),
    examples: expectInteger('examples', checked.examples ?? Math.min(4, examplePool.length), {
      min: 0,
      max: examplePool.length,
    }),
    examplePool,
    queriesPerDraw: expectInteger('queriesPerDraw', checked.queriesPerDraw ?? 4, { min: 1 }),
  };
}

function promptOf(settings: Settings, request: ChallengerRequest): ChallengerPrompt {
  const { index, count } = request;
  const draws = Math.max(1, Math.floor(count / settings.queriesPerDraw));
  const draw = Math.floor((index * draws) / count);
  const order = shuffledIndices(settings.examplePool.length, request.random(draw));
  const ask = settings.form === 'sums' ? ASK_FOR_SUM : ASK_FOR_PROBLEM;
  const turns = order.slice(0, settings.examples).flatMap((position): ChatMessage[] => [
    { role: 'user', content: ask },
    { role: 'assistant', content: renderExample(settings, settings.examplePool[position]!) },
  ]);
  const system =
    settings.form === 'sums' ? SUMS_SYSTEM : hasTwoLines(settings) ? MATHS_SYSTEM : MATHS_SYSTEM_WITHOUT_SUM;
  const messages = [{ role: 'system', content: system }, ...turns, { role: 'user', content: ask }];
  return { messages, draw: `examples ${draw}` };
}

/** Stories with a sum before them. */
function hasTwoLines({ form, answers }: Settings): boolean {
  return form === 'stories' && answers === 'checked';
}

function renderExample(settings: Settings, { sum, problem }: ProblemExample): string {
  if (settings.form === 'sums') return sum;
  return hasTwoLines(settings) ? `Sum: ${sum}\nProblem: ${problem}` : problem;
}

function parse(settings: Settings, text: string): Query | { rejected: string } {
  if (hasTwoLines(settings)) return parseStoryWithSum(text);
  const line = text.split('\n')[0]!;
  if (settings.form === 'stories') return parseStory(line, {});
  const info = readSum(line.replace(/^\s*(?:(?:sum|what is)\b\s*:?)?/i, '').replace(/\?\s*$/, ''));
  if ('rejected' in info) return info;
  const { sum, operations, answer } = info;
  // "10 / 4" and "3 * 10^4" are numbers as they stand: to repeat the question would be to answer it.
  if (canonicalAnswer(sum) === canonicalAnswer(sum, { arithmetic: true })) return { rejected: 'trivial' };
  const known = settings.answers === 'checked' ? { answer } : {};
  return { text: `What is ${sum}?\n\n${ASK_FOR_ANSWER}`, core: sum, info: { sum, operations, ...known } };
}

/** The sum in a line, without what the model says it gives. */
function readSum(line: string): Required<MathematicsInfo> | { rejected: string } {
  const sum = line
    .split('=')[0]!
    .replace(/[.,;]\s*$/, '')
    .replace(/\$/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  const expression = sum === '' ? null : evaluateExpression(sum);
  if (expression === null) return { rejected: 'no-sum' };
  const { value, operations } = expression;
  if (operations === 0) return { rejected: 'trivial' };
  if (value.s < 0n || value.compare(MOST) > 0 || 100n % value.d !== 0n) return { rejected: 'odd-answer' };
  return { answer: value.toString(), sum, operations };
}

/** A line with the sum, and the problem on the others. */
function parseStoryWithSum(text: string): Query | { rejected: string } {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const at = lines.findIndex((line) => SUM_LINE.test(line));
  const info = readSum(at < 0 ? '' : SUM_LINE.exec(lines[at]!)![1]!);
  if ('rejected' in info) return info;
  const query = parseStory(lines.filter((_, index) => index !== at).join(' '), info);
  if ('rejected' in query) return query;
  const told = new Set(numbersOf(query.core));
  const missing = numbersOf(info.sum).some((number) => !told.has(number));
  return missing ? { rejected: 'numbers-missing' } : query;
}

const SUM_LINE = /^\s*(?:[-*]\s+)?(?:sum|calculation|expression)\s*\d*\s*[:=]\s*(.{1,200})$/i;

function parseStory(text: string, info: MathematicsInfo): Query | { rejected: string } {
  const core = text
    .trim()
    .replace(/^(?:[-*•]\s+|\d+[.)]\s+)/, '')
    .replace(/^(?:(?:next|new|word)\s+)?problem\s*\d*\s*[:.-]\s*/i, '')
    .trim();
  if (!/\p{L}/u.test(core)) return { rejected: 'no-problem' };
  // What follows the question would be the answer.
  const end = core.lastIndexOf('?');
  if (end < 0) return { rejected: 'no-question' };
  const problem = core.slice(0, end + 1);
  return { text: `${problem}\n\n${ASK_FOR_ANSWER}`, core: problem, info: { ...info } };
}

const NUMBER = /\d+(?:,\d{3})*(?:\.\d+)?%?|\p{L}+/gu;
const WORDS = 'zero one two three four five six seven eight nine ten eleven twelve'.split(' ');
/** Words that stand for a number of the sum: "half of them" is / 2, or * 0.5. */
const OTHER_WORDS: Readonly<Record<string, readonly string[]>> = {
  a: ['1'],
  an: ['1'],
  each: ['1'],
  another: ['1'],
  once: ['1'],
  both: ['2'],
  couple: ['2'],
  pair: ['2'],
  pairs: ['2'],
  twice: ['2'],
  double: ['2'],
  doubles: ['2'],
  half: ['2', '1/2', '1'],
  third: ['3', '1'],
  triple: ['3'],
  thrice: ['3'],
  quarter: ['4', '1/4', '1'],
  week: ['7'],
  weeks: ['7'],
  dozen: ['12'],
  day: ['24'],
  year: ['12', '365'],
  hour: ['60'],
  hours: ['60'],
  percent: ['100'],
};

/** The numbers told in a text, in canonical form; "20%" is 20, 1/5 and 100. */
function numbersOf(text: string): string[] {
  return (text.match(NUMBER) ?? []).flatMap((found) => {
    const word = found.toLowerCase();
    if (/^\p{L}/u.test(word)) {
      const index = WORDS.indexOf(word);
      return index >= 0 ? [String(index)] : Object.hasOwn(OTHER_WORDS, word) ? OTHER_WORDS[word]! : [];
    }
    const number = canonicalAnswer(found)!;
    return found.endsWith('%')
      ? [number, '100', evaluateExpression(`(${number})/100`)!.value.toFraction()]
      : [number];
  });
}
