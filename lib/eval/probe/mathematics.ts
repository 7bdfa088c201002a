/**
 * Arithmetic to measure with, and what must not be trained on for it. The Challenger is shown some of the problems; no
 * Solver is asked any of this.
 */
import { randomFor } from '../../lsp/random';
import { mathematics } from '../../lsp/tasks/mathematics';
import { PROBLEM_EXAMPLES } from '../../lsp/tasks/mathematics-examples';
import type { ChallengerPrompt, Query } from '../../lsp/types';
import { plainSigns } from '../../rewards/maths/expression';

const NO_PROMPT: ChallengerPrompt = { messages: [], draw: null };

/** Apart from every seed of a run: 64 bits that spell "maths". */
const SEED = 0x6d61746873n;

/** Sums of one or two operations, no two the same, and where stories are played, word problems first. */
export function mathematicsProbe(form: 'stories' | 'sums', size: number): Query[] {
  const stories = form === 'stories' ? PROBLEM_EXAMPLES.slice(0, Math.ceil(size / 2)) : [];
  const parsed = [
    ...stories.map(({ sum, problem }) =>
      mathematics({ form: 'stories' }).parse(`Sum: ${sum}\nProblem: ${problem}`, NO_PROMPT),
    ),
    ...drawSums(size - stories.length).map((sum) => mathematics({ form: 'sums' }).parse(sum, NO_PROMPT)),
  ];
  return parsed.filter((query): query is Query => !('rejected' in query));
}

/** The first sums of one sequence: what has been drawn before is drawn anew, from larger and larger numbers. */
function drawSums(count: number): string[] {
  const sums = new Set<string>();
  for (let index = 0; index < count; index++) {
    const random = randomFor(SEED, 0, 'draw', index);
    for (let more = 0, before = sums.size; sums.size === before; more++)
      sums.add(drawSum(index, random, more));
  }
  return [...sums];
}

/** The i-th sum: harder ones take turns with easy ones. `more` is how much larger than usual its numbers may be. */
function drawSum(index: number, random: () => number, more: number): string {
  const between = (low: number, high: number) => low + Math.floor(random() * (high + more - low + 1));
  switch (index % 4) {
    case 0:
      return `${between(2, 20)} + ${between(2, 20)}`;
    case 1: {
      const [from, less] = [between(30, 99), between(2, 29)];
      return `${from} - ${Math.min(less, from)}`;
    }
    case 2:
      return `${between(2, 12)} * ${between(2, 12)}`;
    default:
      return `${between(2, 9)} * ${between(2, 9)} + ${between(2, 50)}`;
  }
}

/** Characters of a text that are looked at: longer ones are no problem of the probe's. */
const MAX_LENGTH = 4000;

/** A test whether a text is, or asks for, one of the probe's sums or problems, however its signs and spaces are. */
export function mathematicsHeldOut(form: 'stories' | 'sums', size: number): (text: string) => boolean {
  const queries = mathematicsProbe(form, size);
  const sums = new Set(queries.map(({ info }) => compact(String(info['sum']))));
  const problems = queries.map(({ core }) => compact(core)).filter((core) => /\p{L}/u.test(core));
  return (text) => {
    const cut = plainSigns(text.slice(0, MAX_LENGTH)).replaceAll('$', '');
    const whole = compact(cut);
    if (problems.some((problem) => whole.includes(problem))) return true;
    return (cut.match(/[\d(](?:[-+*/^()\d\s]|\.(?=\d))*/g) ?? []).some((run) => sums.has(compact(run)));
  };
}

/** Without case, spaces, dollar signs, and what a sentence ends in. */
function compact(text: string): string {
  return plainSigns(text)
    .toLowerCase()
    .replace(/[\s$]+/g, '')
    .replace(/[^\p{L}\p{N})]{1,20}$/u, '');
}
