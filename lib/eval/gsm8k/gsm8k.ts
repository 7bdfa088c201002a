/**
 * GSM8K (Cobbe et al. 2021, arXiv 2110.14168): grade-school maths, 1,319 test questions with one number as answer.
 *
 * Examples are turns of a conversation for instruct models ('chat'), or text to be continued ('completion'). They are the
 * first rows of the training file, where one is given, and our own otherwise.
 */
import { createHash } from 'node:crypto';
import { checkOptions, expectInteger, expectOneOf, expectString, invalid } from '../../options';
import type { ChatMessage, Prompt } from '../../model/types';
import { canonicalAnswer, extractAnswer, type AnswerPlace } from '../../rewards/maths';
import type {
  AnsweredItem,
  Evaluation,
  EvaluationItem,
  Generation,
  JudgeContext,
  ItemJudgement,
  Json,
} from '../evaluation';
import { HUB_DATA, readData } from '../data';
import { OWN_EXAMPLES, type WorkedExample } from './examples';
import { gsm8kMetrics, type Gsm8kVerdict } from './metrics';

export interface Gsm8kItem extends EvaluationItem {
  readonly question: string;
  /** The reference answer in canonical form. */
  readonly answer: string;
}

export interface Gsm8kOptions {
  /** Path of the questions: `question`, and `answer` that ends in `#### n`. Default: the hub's openai/gsm8k, test. */
  data?: string;
  /** Worked examples in the prompt, 0..8. Default 5. */
  shots?: number;
  /** Path of the rows that the examples are taken from, the first ones; without it they are our own. */
  shotsData?: string;
  /** 'chat' (default): a conversation. 'completion': plain text, for models that are no chat models. */
  style?: 'chat' | 'completion';
  /** k: answers an item. Default 1, greedy; several are sampled at temperature 0.7, and `maj_at_k` is told. */
  samples?: number;
}

const MAX_SHOTS = 8;
const REQUEST = 'Work it out step by step. End with a line "#### " and the number.';
/** Where a model has invented the next question: in the form of the examples, and in others that models know. */
const NEXT_QUESTION = ['\nQuestion:', '\nQ:', '\nUser:', '\nHuman:'];
/** Longer forms are no numbers; they are kept this long in the records. */
const MAX_FORM = 100;

interface Settings {
  items: readonly Gsm8kItem[];
  examples: readonly WorkedExample[];
  own: boolean;
  style: 'chat' | 'completion';
  samples: number;
}

export class Gsm8k implements Evaluation<Gsm8kItem, Gsm8kVerdict> {
  readonly name = 'gsm8k';
  readonly items: readonly Gsm8kItem[];
  readonly settings: Readonly<Record<string, Json>>;
  readonly generation: Generation;
  readonly metrics = gsm8kMetrics();
  readonly #examples: readonly WorkedExample[];
  readonly #style: 'chat' | 'completion';

  private constructor({ items, examples, own, style, samples }: Settings) {
    this.items = items;
    this.#examples = examples;
    this.#style = style;
    this.settings = {
      style,
      shots: examples.length,
      examples: own ? 'own' : 'data',
      examplesHash: createHash('sha256').update(JSON.stringify(examples)).digest('hex').slice(0, 16),
    };
    this.generation = {
      maxNewTokens: 512,
      temperature: samples === 1 ? 0 : 0.7,
      samples,
      stop: NEXT_QUESTION,
    };
  }

  /** @throws LspError INVALID_ARGUMENT (a row of another shape, with its index), UNKNOWN_OPTION, IO_ERROR */
  static async load(options: Gsm8kOptions = {}): Promise<Gsm8k> {
    const checked = checkOptions(options, ['data', 'shots', 'shotsData', 'style', 'samples'], 'Gsm8k.load');
    const shots = expectInteger('shots', checked.shots ?? 5, { min: 0, max: MAX_SHOTS });
    const style = expectOneOf('style', checked.style ?? 'chat', ['chat', 'completion']);
    const samples = expectInteger('samples', checked.samples ?? 1, { min: 1 });
    const items = (await readData(checked.data, HUB_DATA.gsm8k)).map((row, index) => readItem(row, index));
    const own = checked.shotsData === undefined;
    const pool = own
      ? OWN_EXAMPLES
      : (await readData(checked.shotsData, HUB_DATA.gsm8k)).slice(0, shots).map(readExample);
    if (pool.length < shots) throw invalid('shotsData', `at least ${shots} rows`, pool.length);
    return new Gsm8k({ items, examples: pool.slice(0, shots), own, style, samples });
  }

  prompt({ question }: Gsm8kItem): Prompt {
    if (this.#style === 'completion') {
      const shown = this.#examples.map(
        (example) => `Question: ${example.question}\nAnswer: ${example.answer}\n\n`,
      );
      return `${shown.join('')}Question: ${question}\nAnswer:`;
    }
    const turns = [...this.#examples.map((example) => example.question), question].flatMap(
      (text, index): ChatMessage[] => {
        const asked = { role: 'user', content: index === 0 ? `${text}\n\n${REQUEST}` : text };
        const example = this.#examples[index];
        return example ? [asked, { role: 'assistant', content: example.answer }] : [asked];
      },
    );
    return turns;
  }

  async judge(
    answered: readonly AnsweredItem<Gsm8kItem>[],
    { signal }: JudgeContext,
  ): Promise<ItemJudgement<Gsm8kVerdict>[]> {
    return answered.map(({ item, answers }) => {
      signal.throwIfAborted();
      const strict = answers.map(({ text }) => formOf(firstSolution(text), 'hash'));
      const flexible = answers.map(({ text }) => formOf(text, 'number'));
      return { verdict: { reference: item.answer, strict, flexible } };
    });
  }
}

/** Up to the end of the first line with a number behind `####`: what follows may be the answer to a question of its own. */
function firstSolution(text: string): string {
  const line = /####[^\d\n]{0,100}\d[^\n]*/.exec(text);
  return line === null ? text : text.slice(0, line.index + line[0].length);
}

function formOf(text: string, place: AnswerPlace): string | null {
  const answer = extractAnswer(text, { places: [place] });
  return (answer === null ? null : canonicalAnswer(answer))?.slice(0, MAX_FORM) ?? null;
}

function readItem(row: Readonly<Record<string, unknown>>, index: number): Gsm8kItem {
  const question = expectString(`data[${index}].question`, row.question, { allowEmpty: false });
  const solution = extractAnswer(expectString(`data[${index}].answer`, row.answer), { places: ['hash'] });
  const answer = solution === null ? null : canonicalAnswer(solution, { arithmetic: true });
  if (answer === null) throw invalid(`data[${index}].answer`, 'a solution that ends in `#### n`', row.answer);
  return { id: String(index), question, answer };
}

function readExample(row: Readonly<Record<string, unknown>>, index: number): WorkedExample {
  const { question } = row;
  const answer = expectString(`shotsData[${index}].answer`, row.answer, { allowEmpty: false });
  return {
    question: expectString(`shotsData[${index}].question`, question, { allowEmpty: false }),
    // The data's notes for a calculator, <<16-3-4=9>>, are no part of the text.
    answer: answer.replace(/<<[^<>]{0,200}>>/g, ''),
  };
}
