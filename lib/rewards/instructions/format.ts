/** Kinds about visible structure: bullets, titles, sections, highlights, placeholders, postscripts, JSON. */
import { drawInteger, plural, readComparison } from './reading';
import { contains, countMatches, escape, LINE_END, LINE_START, SPACE, strip, stripCharacters } from './text';
import type { InstructionKind } from './types';

/** Reads "noun = 3" with any comparison: a line for these kinds always means their own relation. */
function readNumber(plain: string, noun: string, most: number): number | null {
  const comparison = readComparison(plain, noun);
  return comparison && comparison.number >= 1 && comparison.number <= most ? comparison.number : null;
}

const STAR_BULLET = `${LINE_START}${SPACE}*\\*[^*][^\\n]*${LINE_END}`;
const DASH_BULLET = `${LINE_START}${SPACE}*-[^\\n]*${LINE_END}`;

export const bulletLists: InstructionKind<'detectable_format:number_bullet_lists'> = {
  id: 'detectable_format:number_bullet_lists',
  satisfies: ({ count }, answer) =>
    countMatches(answer, STAR_BULLET) + countMatches(answer, DASH_BULLET) === count,
  wordings: ({ count }) => [
    `Use exactly ${plural(count, 'bullet point')}, each on its own line beginning with "* ".`,
    `Your answer must contain ${plural(count, 'bullet point')}, no more and no fewer, written as "* item".`,
    `List exactly ${plural(count, 'point')} as Markdown bullets ("* ...").`,
  ],
  format: ({ count }) => `bullets = ${count}`,
  parse({ plain }) {
    const count = readNumber(plain, 'bullets?|bullet points?|bullet lists?', 20);
    return count === null ? null : { id: 'detectable_format:number_bullet_lists', count };
  },
  draw(random, budget) {
    const most = Math.min(5, Math.floor(budget.words / 6));
    if (most < 2) return null;
    return { id: 'detectable_format:number_bullet_lists', count: drawInteger(random, 2, most) };
  },
  minimumWords: ({ count }) => count * 2,
};

export const title: InstructionKind<'detectable_format:title'> = {
  id: 'detectable_format:title',
  satisfies: (_constraint, answer) =>
    (answer.match(/<<[^\n]+>>/gu) ?? []).some(
      (found) => strip(found.replace(/^<+/, '').replace(/>+$/, '')) !== '',
    ),
  wordings: () => [
    'Give your answer a title in double angle brackets, such as <<a title>>.',
    'Put a title wrapped in << and >> into your answer.',
    'Your answer must have a title, written like <<this>>.',
  ],
  format: () => 'title',
  parse: ({ plain }) =>
    /^(?:(?:include |add |with )?(?:a )?title(?: ?: ?yes| in <<.*>>)?|<<title>>)$/.test(plain)
      ? { id: 'detectable_format:title' }
      : null,
  draw: () => ({ id: 'detectable_format:title' }),
  minimumWords: () => 2,
};

export const jsonFormat: InstructionKind<'detectable_format:json_format'> = {
  id: 'detectable_format:json_format',
  satisfies: (_constraint, answer) => isJson(answer),
  wordings: () => [
    'Write the whole answer as JSON.',
    'Your entire answer must be valid JSON and nothing else.',
    'Answer in JSON format only.',
  ],
  format: () => 'json',
  parse: ({ plain }) =>
    /^(?:(?:use |in |valid |as )*json(?: format| output| only)*|format ?[:=] ?json)$/.test(plain)
      ? { id: 'detectable_format:json_format' }
      : null,
  draw: () => ({ id: 'detectable_format:json_format' }),
  minimumWords: () => 4,
};

function isJson(answer: string): boolean {
  let text = strip(answer);
  for (const fence of ['```json', '```Json', '```JSON', '```']) {
    if (text.startsWith(fence)) text = text.slice(fence.length);
  }
  if (text.endsWith('```')) text = text.slice(0, -3);
  return (
    parses(strip(text)) ||
    parses(strip(text).replace(PYTHON_CONSTANTS, (found) => (found[0] === '"' ? found : ' 0 ')))
  );
}

/**
 * Strings, and the numbers that Python's JSON reader takes and JavaScript's does not. A string without an end runs to the
 * end of the text, so that it is looked through once.
 */
const PYTHON_CONSTANTS = /"(?:[^"\\]|\\[^])*(?:"|\\?$)|NaN|-?Infinity/g;

function parses(json: string): boolean {
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

export const highlightedSections: InstructionKind<'detectable_format:number_highlighted_sections'> = {
  id: 'detectable_format:number_highlighted_sections',
  satisfies({ count }, answer) {
    const single = answer.match(/\*[^\n*]*\*/gu) ?? [];
    const double = answer.match(/\*\*[^\n*]*\*\*/gu) ?? [];
    const filled = [...single, ...double].filter((found) => strip(stripCharacters(found, '*')) !== '');
    return filled.length >= count;
  },
  wordings: ({ count }) => [
    `Highlight at least ${plural(count, 'passage')} with asterisks, *like this*.`,
    `Put ${plural(count, 'phrase')} or more in *asterisks*.`,
    `Your answer must have at least ${plural(count, 'part')} marked *like this*.`,
  ],
  format: ({ count }) => `highlights >= ${count}`,
  parse({ plain }) {
    const count = readNumber(plain, 'highlights?|highlighted(?: sections?| parts?)?', 20);
    return count === null ? null : { id: 'detectable_format:number_highlighted_sections', count };
  },
  draw(random, budget) {
    const most = Math.min(3, Math.floor(budget.words / 8));
    if (most < 1) return null;
    return { id: 'detectable_format:number_highlighted_sections', count: drawInteger(random, 1, most) };
  },
  minimumWords: ({ count }) => count * 2,
};

const SPLITTERS = ['Section', 'Part', 'Step', 'Day'] as const;
const SECTIONS_LINE =
  /^sections? ?(?:>=|=|:|<=)* ?(\d{1,2}) ?[:,]? ?(?:named |with )?["']?([\p{L}]{1,20})?["']?$/iu;

export const multipleSections: InstructionKind<'detectable_format:multiple_sections'> = {
  id: 'detectable_format:multiple_sections',
  satisfies({ splitter, count }, answer) {
    return countMatches(answer, `${SPACE}?${escape(splitter)}${SPACE}?\\p{Nd}+${SPACE}?`) >= count;
  },
  wordings: ({ splitter, count }) => [
    `Write at least ${plural(count, 'section')} and begin each with "${splitter}" and its number, such as "${splitter} 1".`,
    `Divide your answer into ${plural(count, 'section')} or more, marked "${splitter} 1", "${splitter} 2" and so on.`,
  ],
  format: ({ splitter, count }) => `sections >= ${count}: ${splitter}`,
  parse({ text }) {
    const match = SECTIONS_LINE.exec(text);
    if (!match || Number(match[1]) < 1 || Number(match[1]) > 20) return null;
    return {
      id: 'detectable_format:multiple_sections',
      splitter: match[2] ?? 'Section',
      count: Number(match[1]),
    };
  },
  draw(random, budget) {
    const most = Math.min(3, Math.floor(budget.words / 10));
    if (most < 2) return null;
    const splitter = SPLITTERS[drawInteger(random, 0, SPLITTERS.length - 1)]!;
    return { id: 'detectable_format:multiple_sections', splitter, count: drawInteger(random, 2, most) };
  },
  minimumWords: ({ count }) => count * 5,
  requiredText: ({ splitter }) => [splitter],
};

const RESPONSES = ['My answer is yes.', 'My answer is no.', 'My answer is maybe.'];

export const constrainedResponse: InstructionKind<'detectable_format:constrained_response'> = {
  id: 'detectable_format:constrained_response',
  satisfies: (_constraint, answer) => RESPONSES.some((response) => answer.includes(response)),
  wordings: () => [
    `Your answer must contain one of these sentences: ${RESPONSES.map((response) => `"${response}"`).join(', ')}`,
    `Decide, and say exactly one of "${RESPONSES.join('", "')}"`,
  ],
  format: () => 'yes, no or maybe',
  parse: ({ plain }) =>
    /^(?:answer (?:with )?:? ?)?yes ?[,/|] ?no ?(?:[,/|] ?)?(?:or ?)?maybe$/.test(plain)
      ? { id: 'detectable_format:constrained_response' }
      : null,
  // It only suits yes-or-no questions, which a draw knows nothing of.
  draw: () => null,
  minimumWords: () => 4,
  requiredText: () => ['My answer is'],
};

export const placeholders: InstructionKind<'detectable_content:number_placeholders'> = {
  id: 'detectable_content:number_placeholders',
  satisfies: ({ count }, answer) => countMatches(answer, '\\[[^\\n]*?\\]') >= count,
  wordings: ({ count }) => [
    `Use at least ${plural(count, 'placeholder')} in square brackets, such as [name].`,
    `Your answer must contain ${plural(count, 'placeholder')} or more like [place] or [date].`,
    `Leave at least ${plural(count, 'blank')} to fill in, written in [square brackets].`,
  ],
  format: ({ count }) => `placeholders >= ${count}`,
  parse({ plain }) {
    const count = readNumber(plain, 'place ?holders?', 20);
    return count === null ? null : { id: 'detectable_content:number_placeholders', count };
  },
  draw(random, budget) {
    const most = Math.min(3, Math.floor(budget.words / 8));
    if (most < 1) return null;
    return { id: 'detectable_content:number_placeholders', count: drawInteger(random, 1, most) };
  },
  minimumWords: ({ count }) => count * 2,
};

export const postscript: InstructionKind<'detectable_content:postscript'> = {
  id: 'detectable_content:postscript',
  satisfies({ marker }, answer) {
    const lower = answer.toLowerCase();
    if (marker === 'P.P.S') return new RegExp(`p\\.${SPACE}?p\\.${SPACE}?s`, 'u').test(lower);
    if (marker === 'P.S.') return new RegExp(`p\\.${SPACE}?s\\.`, 'u').test(lower);
    return contains(lower, marker.toLowerCase());
  },
  wordings: ({ marker }) => [
    `Add a postscript that begins with ${marker}`,
    `After your answer, write a postscript starting with ${marker}`,
    `Close with a short postscript introduced by ${marker}`,
  ],
  format: ({ marker }) => `postscript: ${marker}`,
  parse({ text }) {
    const match =
      /^(?:add |with |include )?(?:a )?postscript(?: *[:=]? *(P\.? ?P\.? ?S\.?|P\.? ?S\.?))?$|^(P\.P\.S\.?|P\.S\.?)$/iu.exec(
        text,
      );
    if (!match) return null;
    const letters = (match[1] ?? match[2] ?? 'ps').replace(/[^ps]/giu, '').toLowerCase();
    return { id: 'detectable_content:postscript', marker: letters === 'pps' ? 'P.P.S' : 'P.S.' };
  },
  draw: (random) => ({ id: 'detectable_content:postscript', marker: random() < 0.8 ? 'P.S.' : 'P.P.S' }),
  minimumWords: () => 6,
};
