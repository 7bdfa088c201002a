/**
 * The default task: following instructions that a program can verify.
 *
 * The Challenger writes what the answer is about; constraints such as "at most 40 words" make it checkable. There are
 * three ways to get them:
 *
 * - 'drawn' (default): the harness draws the constraints, the Challenger writes one line, the task. Nothing can be
 *   malformed but that line, so nearly every query of a small model is usable. Queries of one draw are compared with
 *   each other (`draw`), since otherwise the Challenger would be paid for the luck of the draw.
 * - 'chosen': the Challenger writes the task and picks the constraints, in a form of lines. It decides what is hard,
 *   but a small model gets the form wrong, or finds the one hardest constraint and stays there.
 * - 'none': there are none, as in the paper; what an answer is worth is for a reward model or a judge to say.
 */
import { checkOptions, expectArray, expectBoolean, expectInteger, expectOneOf } from '../../options';
import {
  areFeasible,
  describe,
  drawConstraints,
  formatConstraint,
  parseConstraint,
  type Constraint,
  type InstructionId,
} from '../../rewards/instructions';
import type { ChatMessage } from '../../model/types';
import {
  askForTask,
  ASK_FOR_TASK_AND_RULES,
  CHALLENGER_SYSTEM,
  challengerSystemChoosing,
  renderTaskAndRules,
  TASK_EXAMPLES,
  type TaskExample,
} from '../prompts';
import { shuffledIndices } from '../random';
import type { ChallengerPrompt, ChallengerRequest, Query, Random, Task } from '../types';

export interface InstructionFollowingOptions {
  /** Who decides the constraints: the harness ('drawn', default), the Challenger ('chosen'), or nobody ('none'). */
  constraints?: 'drawn' | 'chosen' | 'none';
  /** Constraints of a query, 1..5; drawn uniformly between the two. Default 1 and 2. */
  minConstraints?: number;
  maxConstraints?: number;
  /** drawn: least queries per draw (they are each other's baseline). Default 2: more draws a step say more about the Solver. */
  queriesPerDraw?: number;
  /** drawn: whether the Challenger is told the constraints. Default true. */
  showConstraints?: boolean;
  /** Kinds of constraints to draw from, or to show on the menu. Default `LEARNABLE_KINDS`. */
  kinds?: readonly InstructionId[];
  /** Worked examples shown to the Challenger, drawn from `examplePool`. Default 3. */
  examples?: number;
  examplePool?: readonly TaskExample[];
}

const OPTION_NAMES = [
  'constraints',
  'minConstraints',
  'maxConstraints',
  'queriesPerDraw',
  'showConstraints',
  'kinds',
  'examples',
  'examplePool',
];

type Settings = Required<InstructionFollowingOptions>;

/**
 * Kinds that a small instruct model satisfies in some of its answers, but not in all. Where every answer scores the
 * same there is nothing to learn: with all kinds, half the groups of SmolLM2-135M-Instruct had no signal, most of them
 * under capitals only, JSON, quotation marks and start phrases, which it satisfied in 0 to 12 % of its answers.
 */
export const LEARNABLE_KINDS: readonly InstructionId[] = [
  'length_constraints:number_words',
  'length_constraints:number_sentences',
  'keywords:existence',
  'keywords:forbidden_words',
  'keywords:letter_frequency',
  'punctuation:no_comma',
  'detectable_format:title',
  'detectable_format:number_bullet_lists',
  'detectable_format:number_highlighted_sections',
  'detectable_format:multiple_sections',
  'detectable_content:number_placeholders',
  'detectable_content:postscript',
];

/** What `challengerPrompt` hands to `parse`. */
interface Context {
  constraints: readonly Constraint[];
  maxNewTokens: number;
}

/** Rules on the menu of the 'chosen' form. */
const MENU_SIZE = 8;

/**
 * Instruction following with verifiable instructions. `Query.info` is `{ constraints }`; the reward that goes with it
 * pays the share of them that the answer satisfies.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function instructionFollowing(options: InstructionFollowingOptions = {}): Task {
  const settings = settle(options);
  const chosen = settings.constraints === 'chosen';
  return {
    name: `instruction-following (${settings.constraints})`,
    stop: chosen ? ['\n\n'] : ['\n'],
    challengerPrompt: (request) => PROMPTS[settings.constraints](settings, request),
    parse: (text, prompt) => {
      const context = prompt.context as Context;
      return chosen ? parseChosen(text, context, settings.maxConstraints) : parseDrawn(text, context);
    },
    solverMessages: (query) => [{ role: 'user', content: query.text }],
  };
}

function settle(options: InstructionFollowingOptions): Settings {
  const checked = checkOptions(options, OPTION_NAMES, 'instructionFollowing');
  const minConstraints = expectInteger('minConstraints', checked.minConstraints ?? 1, { min: 1, max: 5 });
  const examplePool = checked.examplePool ?? TASK_EXAMPLES;
  expectArray('examplePool', examplePool);
  return {
    constraints: expectOneOf('constraints', checked.constraints ?? 'drawn', ['drawn', 'chosen', 'none']),
    minConstraints,
    maxConstraints: expectInteger('maxConstraints', checked.maxConstraints ?? Math.max(2, minConstraints), {
      min: minConstraints,
      max: 5,
    }),
    queriesPerDraw: expectInteger('queriesPerDraw', checked.queriesPerDraw ?? 2, { min: 1 }),
    showConstraints: expectBoolean('showConstraints', checked.showConstraints ?? true),
    kinds: checked.kinds ?? LEARNABLE_KINDS,
    examples: expectInteger('examples', checked.examples ?? Math.min(3, examplePool.length), {
      min: 0,
      max: examplePool.length,
    }),
    examplePool,
  };
}

function promptDrawn(settings: Settings, request: ChallengerRequest): ChallengerPrompt {
  const { index, count, maxNewTokens } = request;
  const draws = Math.max(1, Math.floor(count / settings.queriesPerDraw));
  const draw = Math.floor((index * draws) / count);
  const random = request.random(draw);
  const constraints = drawSet(settings, random, maxNewTokens);
  const rules = settings.showConstraints ? constraints.map(formatConstraint) : null;
  const turns = pickExamples(settings, random).flatMap((example) =>
    turn(askForTask(rules && example.rules), example.task),
  );
  return {
    messages: conversation(CHALLENGER_SYSTEM, turns, askForTask(rules)),
    draw: `${draw}: ${constraints.map(formatConstraint).join('; ')}`,
    context: { constraints, maxNewTokens } satisfies Context,
  };
}

/** The menu and the examples are the same for all queries of a step: one prompt, computed once. */
function promptChosen(settings: Settings, request: ChallengerRequest): ChallengerPrompt {
  const random = request.random(0);
  const menu = new Set<string>();
  for (let attempt = 0; attempt < 4 * MENU_SIZE && menu.size < MENU_SIZE; attempt++) {
    for (const constraint of drawSet(
      { ...settings, maxConstraints: 1, minConstraints: 1 },
      random,
      request.maxNewTokens,
    )) {
      menu.add(formatConstraint(constraint));
    }
  }
  const turns = pickExamples(settings, random).flatMap((example) =>
    turn(ASK_FOR_TASK_AND_RULES, renderTaskAndRules(example)),
  );
  return {
    messages: conversation(challengerSystemChoosing([...menu]), turns, ASK_FOR_TASK_AND_RULES),
    draw: null,
    context: { constraints: [], maxNewTokens: request.maxNewTokens } satisfies Context,
  };
}

/** One prompt for all queries of a step, computed once. */
function promptFree(settings: Settings, request: ChallengerRequest): ChallengerPrompt {
  const { maxNewTokens } = request;
  const turns = pickExamples(settings, request.random(0)).flatMap(({ task }) => turn(askForTask(null), task));
  return {
    messages: conversation(CHALLENGER_SYSTEM, turns, askForTask(null)),
    draw: null,
    context: { constraints: [], maxNewTokens } satisfies Context,
  };
}

const PROMPTS = { drawn: promptDrawn, chosen: promptChosen, none: promptFree } as const;

function drawSet(settings: Settings, random: Random, maxNewTokens: number): Constraint[] {
  const { minConstraints, maxConstraints, kinds } = settings;
  const count = minConstraints + Math.floor(random() * (maxConstraints - minConstraints + 1));
  return drawConstraints(random, { count, maxNewTokens, kinds });
}

function pickExamples(settings: Settings, random: Random): TaskExample[] {
  const order = shuffledIndices(settings.examplePool.length, random);
  return order.slice(0, settings.examples).map((i) => settings.examplePool[i]!);
}

function turn(user: string, assistant: string): ChatMessage[] {
  return [
    { role: 'user', content: user },
    { role: 'assistant', content: assistant },
  ];
}

function conversation(system: string, turns: ChatMessage[], ask: string): ChatMessage[] {
  return [{ role: 'system', content: system }, ...turns, { role: 'user', content: ask }];
}

function parseDrawn(text: string, { constraints }: Context): Query | { rejected: string } {
  const core = cleanTask(text.split('\n')[0] ?? '');
  return core === '' ? { rejected: 'no-task' } : render(core, constraints);
}

function parseChosen(text: string, context: Context, maxConstraints: number): Query | { rejected: string } {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const core = cleanTask(lines[0] ?? '');
  if (core === '') return { rejected: 'no-task' };
  const constraints: Constraint[] = [];
  for (const line of lines.slice(1)) {
    const constraint = parseConstraint(line.replace(/^\s*(?:[-*]\s*)?rules?\s*\d*\s*[:.]\s*/i, ''));
    if (constraint) constraints.push(constraint);
  }
  if (constraints.length === 0) return { rejected: 'no-rule' };
  if (constraints.length > maxConstraints) return { rejected: 'too-many-rules' };
  if (!areFeasible(constraints, context.maxNewTokens)) return { rejected: 'infeasible' };
  return render(core, constraints);
}

/** The line without list marks, a leading "Task:", and quotation marks around it. */
function cleanTask(line: string): string {
  const bare = line
    .trim()
    .replace(/^(?:[-*•]\s+|\d+[.)]\s+)/, '')
    .replace(/^(?:(?:next|new)\s+)?task\s*\d*\s*[:.-]\s*/i, '')
    .trim();
  return bare.replace(/^["“](.*)["”]$/s, '$1').trim();
}

/** The task's sentence, then a sentence for each constraint. */
function render(core: string, constraints: readonly Constraint[]): Query {
  const sentence = /[.!?:]["”')]?$/.test(core) ? core : `${core}.`;
  const text = [sentence, ...constraints.map((constraint) => describe(constraint))].join(' ');
  return { text, core, info: { constraints } };
}
