/**
 * What the tiny model is pre-trained on: chats in the three roles of self-play, about the world's easy tasks.
 *
 * Most of it is a textbook: the answers are right. The last part is what pupils make of it: the harder a task, the
 * more often its answer is a slip (the carry is forgotten, the last item left alone, …), and nothing in the text tells
 * a careful pupil from a careless one. So the model knows how a task is done and has picked up how it is often done
 * wrong; which of the two to do, no text ever told it. That is what self-play has to find out. The judge's chats, all
 * along, grade answers of both sorts.
 */
import { randomFor, world, type ChatMessage } from 'lsp';

const {
  challengerMessages,
  creditOf,
  judgeMessages,
  KIND_NAMES,
  MOST_POINTS,
  PRETRAINING_LEVELS,
  solverMessages,
} = world;
type WorldTask = world.WorldTask;
type Random = () => number;
/** By the kind's name; 1 where it is not named. */
type Weights = Readonly<Record<string, number>>;

export interface Demonstration {
  messages: ChatMessage[];
  /** What the assistant says. */
  reply: string;
}

/** Shares of the levels 1 to 4. */
const LEVELS = [0.28, 0.26, 0.24, 0.22];

/** How often a pupil's answer to a task of level 1 to 4 is careless. */
const CARELESS = [0.25, 0.46, 0.64, 0.76];

/** Kinds with two possible answers: were every other one wrong, the answers would tell nothing about the tasks. */
const TWO_ANSWERS = ['logic', 'membership'];

/** How often a kind is taught, relative to the others: some take more practice. */
const PRACTICE: Weights = {
  addition: 5,
  subtraction: 6,
  composition: 2.5,
  counting: 2,
  sequence: 2,
  logic: 1.5,
  membership: 1.5,
  comparison: 1.5,
  distinct: 1.2,
  sorting: 1.2,
  reversing: 1.2,
  removing: 1.2,
  doubling: 0.5,
  shifting: 0.5,
  capitals: 0.4,
  commas: 0.6,
};

/** How often a kind is written: a progression, or a letter that comes again, is not written by chance. */
const WRITING: Weights = {
  sequence: 6,
  distinct: 6,
  composition: 4,
  subtraction: 3,
  removing: 2.5,
  logic: 2,
  addition: 1.5,
  replacing: 1.5,
  sorting: 0.6,
  reversing: 0.6,
  doubling: 0.6,
  shifting: 0.6,
  capitals: 0.6,
  commas: 0.6,
  repeating: 0.8,
};

/** Share of careless answers that are blunders of another sort than the usual slip. */
const BLUNDERS = 0.08;

/** Shares of the roles. */
const CHALLENGER = 0.16;
const JUDGE = 0.1;

/** Seed of the corpus and of the model's first weights. */
export const SEED = 2026n;
/** Chats of the corpus, in the order in which they are learnt. */
export const CHATS = 870_400;
/** Share of them that the textbook has; the rest is the pupils'. */
const TEXTBOOK = 0.83;

/** Chat number `index`, 0 to CHATS − 1: the same at any time, whatever was asked before. */
export function chat(index: number): Demonstration {
  const random = randomFor(SEED, 0, 'draw', index);
  const role = random();
  if (role < CHALLENGER) return writeTask(random);
  if (role < CHALLENGER + JUDGE) return judgeAnswer(random);
  return solveTask(index >= TEXTBOOK * CHATS, random);
}

function writeTask(random: Random): Demonstration {
  const task = drawTask(WRITING, random);
  return { messages: challengerMessages(random() < 0.1 ? null : task.kind), reply: task.text };
}

function solveTask(byPupils: boolean, random: Random): Demonstration {
  const task = drawTask(PRACTICE, random);
  const rate = CARELESS[task.level - 1]! * (TWO_ANSWERS.includes(task.kind) ? 0.6 : 1);
  const careless = byPupils && random() < rate;
  return { messages: solverMessages(task.text), reply: careless ? wrongAnswer(task, random) : task.answer };
}

function judgeAnswer(random: Random): Demonstration {
  const task = drawTask(PRACTICE, random);
  const answer = random() < 0.5 ? task.answer : wrongAnswer(task, random);
  const points = Math.floor(MOST_POINTS * creditOf(task, answer));
  return { messages: judgeMessages(task.text, answer), reply: String(points) };
}

/** A task of levels 1 to 4; `weights` tells how often which kind. */
function drawTask(weights: Weights, random: Random): WorldTask {
  const kind = pickOf(
    KIND_NAMES,
    KIND_NAMES.map((name) => weights[name] ?? 1),
    random,
  );
  return world.drawTrainingTask(kind, pickOf(PRETRAINING_LEVELS, LEVELS, random), random);
}

/** One of the items, each as often as its weight says. */
function pickOf<T>(items: readonly T[], weights: readonly number[], random: Random): T {
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0);
  return items[weights.findIndex((weight) => (rest -= weight) < 0)] ?? items.at(-1)!;
}

function wrongAnswer(task: WorldTask, random: Random): string {
  const hasOneOther = /^(?:yes|no|true|false)$/.test(task.answer);
  if (hasOneOther || random() >= BLUNDERS) return task.slip;
  for (let attempt = 0; attempt < 8; attempt++) {
    const answer = blunder(task.answer, random);
    if (creditOf(task, answer) < 1) return answer;
  }
  return task.slip;
}

/** A digit or an item that is another one, or two neighbouring items in the wrong order. */
function blunder(answer: string, random: Random): string {
  const at = (length: number) => Math.floor(random() * length);
  if (/^\d+$/.test(answer)) return String(Number(answer) + 1 + at(9));
  const items = answer.split(' ');
  const place = at(items.length);
  if (items.length > 1 && random() < 0.5) {
    const [moved] = items.splice(place, 1);
    items.splice(at(items.length + 1), 0, moved!);
  } else {
    items[place] = items[place]!.replace(/[a-z]/gi, () => String.fromCharCode(97 + at(26)));
  }
  return items.join(' ');
}
