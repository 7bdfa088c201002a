/**
 * Builds an answer that satisfies a set of constraints, or tries to: what shows that drawn sets are feasible. The
 * answers are dull on purpose, of real words, and no longer than they need to be.
 */
import type { Constraint, ConstraintOf, InstructionId } from '../../lib/rewards/instructions';
import { words } from '../../lib/rewards/instructions/text';

/** None of these words is ever forbidden, and none has a letter that a draw limits. */
const FILLER = 'cats doze in sun and rest all day dry hills are near it'.split(' ');

/** A word for each letter that a draw asks for. */
const WORD_WITH: Record<string, string> = Object.fromEntries(
  'as be ace do go he in lo me no of so up run to us we dry'.split(' ').flatMap((word) => [[word[0]!, word]]),
);
Object.assign(WORD_WITH, {
  c: 'ace',
  h: 'he',
  y: 'dry',
  p: 'up',
  w: 'we',
  t: 'to',
  u: 'us',
  r: 'run',
  d: 'do',
});

export function witnessOf(constraints: readonly Constraint[]): string {
  const least = constraints
    .filter((constraint) => constraint.id === 'length_constraints:number_words')
    .map(({ relation, count }) => (relation === 'at least' ? count : 0));
  const bare = answerWith(0, constraints);
  const missing = Math.max(0, ...least) - words(bare).length;
  return missing > 0 ? answerWith(missing, constraints) : bare;
}

/** What the constraints other than a least number of words need, and `padding` words more. */
function answerWith(padding: number, constraints: readonly Constraint[]): string {
  const find = <Id extends InstructionId>(id: Id): ConstraintOf<Id> | undefined =>
    constraints.find((constraint) => constraint.id === id) as ConstraintOf<Id> | undefined;
  const has = (id: InstructionId): boolean => find(id) !== undefined;
  // Words with a letter that is asked for stand wherever any word will do.
  const letter = find('keywords:letter_frequency');
  const lettered =
    letter?.relation === 'at least' ? Array<string>(letter.count).fill(WORD_WITH[letter.letter]!) : [];
  let next = 0;
  const filler = (): string => lettered.pop() ?? FILLER[next++ % FILLER.length]!;

  // Words that have to be somewhere.
  const content = [...(find('keywords:existence')?.keywords ?? [])];
  const frequency = find('keywords:frequency');
  if (frequency?.relation === 'at least')
    content.push(...Array<string>(frequency.count).fill(frequency.keyword));
  const highlights = find('detectable_format:number_highlighted_sections')?.count ?? 0;
  for (let i = 0; i < highlights; i++) content.push(`*${filler()}*`);
  const placeholders = find('detectable_content:number_placeholders')?.count ?? 0;
  for (let i = 0; i < placeholders; i++) content.push(`[${filler()}]`);

  // Blocks: paragraphs, bullets, sections, responses, or one.
  const nth = find('length_constraints:nth_paragraph_first_word');
  const bullets = find('detectable_format:number_bullet_lists');
  const sections = find('detectable_format:multiple_sections');
  const paragraphs = find('length_constraints:number_paragraphs');
  const two = has('combination:two_responses') ? 2 : undefined;
  const count = (nth ?? bullets ?? sections ?? paragraphs)?.count ?? two ?? 1;
  // The two responses must differ: they begin with different words.
  const blocks = Array.from({ length: count }, (_, index) => [two ? FILLER[index]! : filler()]);
  content.push(...lettered.splice(0), ...Array.from({ length: padding }, filler));
  content.forEach((word, index) => blocks[index % count]!.push(word));
  if (nth) blocks[nth.nth - 1]!.unshift(nth.word);

  // Sentences: as many as asked for, one per block otherwise.
  const asked = find('length_constraints:number_sentences');
  let extra = asked?.relation === 'at least' ? Math.max(0, asked.count - count) : 0;
  const written = blocks.map((block, index) => {
    const sentences = [block.join(' ')];
    for (; extra > 0; extra--) sentences.push(filler());
    const text = sentences.map((sentence) => `${sentence}.`).join(' ');
    if (bullets) return `* ${text}`;
    return sections ? `${sections.splitter} ${index + 1}: ${text}` : text;
  });

  let text = written.join(nth ? '\n\n' : paragraphs ? '\n***\n' : two ? '\n******\n' : '\n');
  const start = find('startend:start_phrase');
  if (start) text = `${start.phrase}${bullets ? '\n' : ' '}${text}`; // a bullet begins its line
  if (has('detectable_format:title')) text = `<<${filler()}>>\n${text}`;
  const end = find('startend:end_checker');
  if (end) text = `${text} ${end.phrase}`;
  const postscript = find('detectable_content:postscript');
  if (postscript) text = `${text}\n${postscript.marker} ${filler()}`;
  if (has('startend:quotation')) text = bullets ? `"\n${text}"` : `"${text}"`;
  if (has('detectable_format:json_format')) text = JSON.stringify([text]);
  if (has('change_case:english_lowercase')) text = text.toLowerCase();
  if (has('change_case:english_capital')) text = text.toUpperCase();
  return text;
}
