/**
 * The probe's prompts: held out, because no Challenger sees them and no example of its prompt is about them; fixed,
 * because their order and constraints only depend on their number and on the token limit. The kinds of constraints are
 * those of the default task: what is held out is what the answers are about.
 */
import { describe, drawConstraints, type Constraint } from '../../rewards/instructions';
import { randomFor } from '../../lsp/random';
import { LEARNABLE_KINDS } from '../../lsp/tasks/instruction-following';

export interface ProbePrompt {
  text: string;
  constraints: readonly Constraint[];
}

const TASKS: readonly string[] = [
  'Describe a lighthouse to someone who has never seen the sea.',
  'Explain why ice floats on water.',
  'Write a note that asks a neighbour to feed the cat for a week.',
  'Give three reasons to learn to swim.',
  'Tell a short story about a clock that runs backwards.',
  'Explain what a passport is for.',
  'Describe the sound of rain on a tin roof.',
  'Suggest a menu for a picnic in spring.',
  'Explain how a thermometer works.',
  'Write an invitation to the opening of a bookshop.',
  'Give advice to a friend who cannot sleep.',
  'Describe how to fold a paper boat.',
  'Explain the difference between a violin and a guitar.',
  'Write a review of a noisy hotel.',
  'Tell what you would put into a time capsule.',
  'Explain why people keep diaries.',
  'Describe a desert at noon.',
  'Write a thank-you message to a nurse.',
  'Explain how to change a bicycle tyre.',
  'Suggest a name for a café at a railway station and say why.',
  'Describe the first day in a new school.',
  'Explain what a shadow is.',
  'Write a complaint about a parcel that came late.',
  'Tell how bees make honey.',
  'Give tips for taking good photographs at night.',
  'Explain why we have leap years.',
  'Describe an old wooden chair.',
  'Write a short speech for the birthday of a colleague.',
  'Explain how to read a map.',
  'Suggest ways to save water at home.',
  'Tell a joke about a parrot and explain it.',
  'Describe what a blacksmith does.',
];

/** Apart from every seed of a run: 64 bits that spell "probe". */
const SEED = 0x70726f6265n;

/** The first `size` prompts. The tasks are 32: further rounds draw other constraints for them, now and then the same. */
export function probePrompts(size: number, maxNewTokens: number): ProbePrompt[] {
  return Array.from({ length: size }, (_, index) => {
    const random = randomFor(SEED, 0, 'draw', index);
    const constraints = drawConstraints(random, {
      count: 1 + (index % 2),
      maxNewTokens,
      kinds: LEARNABLE_KINDS,
    });
    const sentences = constraints.map((constraint) => describe(constraint));
    return { text: [TASKS[index % TASKS.length]!, ...sentences].join(' '), constraints };
  });
}
