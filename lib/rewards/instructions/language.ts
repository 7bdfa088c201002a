/**
 * The language that a text is written in, by the library franc (why this one: docs/decisions/0009).
 *
 * Only languages that IFEval's own detector knows are told apart, so that close relatives which it does not know
 * (Dari, Lunda, Scots) are not found in its place.
 */
import type * as Franc from 'franc' with { 'resolution-mode': 'import' };

/** franc's codes (ISO 639-3) by those of IFEval's rows (ISO 639-1). */
const CODES: Readonly<Record<string, string>> = Object.fromEntries(
  (
    'af:afr ar:arb bg:bul bn:ben ca:cat cs:ces da:dan de:deu el:ell en:eng es:spa et:ekk fa:pes fi:fin fr:fra gu:guj ' +
    'he:heb hi:hin hr:hrv hu:hun id:ind it:ita ja:jpn kn:kan ko:kor lt:lit lv:lvs mk:mkd ml:mal mr:mar ne:npi nl:nld ' +
    'no:nob pa:pan pl:pol pt:por ro:ron ru:rus sk:slk sl:slv so:som sq:als sv:swe sw:swh ta:tam te:tel th:tha tl:tgl ' +
    'tr:tur uk:ukr ur:urd vi:vie zh:cmn'
  )
    .split(' ')
    .map((pair) => pair.split(':') as [string, string]),
);

/** ISO 639-1 codes of the languages that are told apart. */
export const LANGUAGES: readonly string[] = Object.keys(CODES);

const BY_FRANC_CODE = new Map(Object.entries(CODES).map(([code, francCode]) => [francCode, code]));

const NAMES = new Intl.DisplayNames('en', { type: 'language' });

/** The English name of a language: "German" for `de`. */
export function languageName(code: string): string {
  return NAMES.of(code) ?? code;
}

/** Addresses, which are of no language. */
const ADDRESS = /\bhttps?:\/\/\S+|[\w.+-]{1,64}@[\w-]{1,64}\.\S+/giu;

let detector: typeof Franc | undefined;

/**
 * The code of the language that a text is most probably written in, by its first 2,048 characters; null for a text
 * without a letter outside of addresses, which is of none. Short texts (fewer than about 50 characters) are guesses.
 */
export function detectLanguage(text: string): string | null {
  const plain = text.slice(0, 4096).replace(ADDRESS, ' ');
  if (!/\p{L}/u.test(plain)) return null;
  // franc is an ES module; it is loaded when first needed.
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- see above
  detector ??= require('franc') as typeof Franc;
  const found = detector.franc(plain, { only: [...BY_FRANC_CODE.keys()], minLength: 1 });
  return BY_FRANC_CODE.get(found) ?? null;
}

/** Whether a text is in a language; a text that is in none passes, as in IFEval. */
export function isInLanguage(text: string, code: string): boolean {
  const found = detectLanguage(text);
  return found === null || found === code;
}
