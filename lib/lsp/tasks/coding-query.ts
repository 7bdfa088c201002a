/** Reading what the Challenger of the coding task wrote. */
import { codingMessage } from '../prompts';
import type { Query } from '../types';
import { looksPlain } from './plain-assert';

/** What `Query.info` holds. */
export interface CodingInfo {
  specification: string;
  /** `def name(arguments):`, null where the Challenger wrote none. */
  signature: string | null;
  entryPoint: string;
  /** Asserts, a line each. */
  tests: readonly string[];
}

export interface CodingForm {
  minTests: number;
  maxTests: number;
  /** Tests that the Solver sees. */
  shownTests: number;
}

const ASSERT = /^assert\s.*?\b([A-Za-z_]\w*)\s*\(/;
const SIGNATURE = /^def\s+([A-Za-z_]\w*)\s*\(([^()]*)\)\s*(?:->[^:]*)?:/;

/**
 * The query in a text of the form "one sentence, a def line, asserts". What a small model adds is passed over: fences,
 * labels, numbering, a body, comments; asserts that repeat, do not call the
 * function, or are no plain ones are left out.
 *
 * Rejections: `no-task` (no sentence), `no-function` (neither a def line nor an assert names one), `too-few-tests`.
 */
export function parseCodingQuery(text: string, form: CodingForm): Query | { rejected: string } {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(?:`{3,}|~{3,})/.test(line));
  const specification = cleanSentence(lines.find((line) => !isCode(line)) ?? '');
  if (specification === '') return { rejected: 'no-task' };
  const [signature, named] = lines.map((line) => SIGNATURE.exec(line)).find((match) => match !== null) ?? [];
  const asserts = lines.map(cleanAssert).filter((line) => ASSERT.test(line));
  const entryPoint = named ?? asserts.map((line) => ASSERT.exec(line)![1]!)[0];
  if (entryPoint === undefined) return { rejected: 'no-function' };
  const calls = new RegExp(`\\b${entryPoint}\\s*\\(`);
  const tests = [
    ...new Set(asserts.filter((line) => calls.test(line) && looksPlain(line, entryPoint))),
  ].slice(0, form.maxTests);
  if (tests.length < form.minTests) return { rejected: 'too-few-tests' };
  const info: CodingInfo = { specification, signature: signature ?? null, entryPoint, tests };
  return {
    text: codingMessage(specification, entryPoint, info.signature, tests.slice(0, form.shownTests)),
    core: specification,
    info: { ...info },
  };
}

function isCode(line: string): boolean {
  return /^(?:def|assert|return|import|from|class|print|for|if|while|else|#)\b|^#|^[)\]}]/.test(line);
}

/** Without list marks, a comment at the end, and a stray full stop. */
function cleanAssert(line: string): string {
  return line
    .replace(/^(?:[-*]\s+|\d+[.)]\s+)/, '')
    .replace(/\s+#[^'"]*$/, '')
    .replace(/[.;]$/, '');
}

/** Without list marks, a leading label, and quotation marks around it; with a full stop. */
function cleanSentence(line: string): string {
  const bare = line
    .replace(/^(?:[-*•]\s+|\d+[.)]\s+)/, '')
    .replace(/^(?:(?:next|new)\s+)?task\s*\d*\s*[:.-]\s*/i, '')
    .replace(/^["“](.*)["”]$/, '$1')
    .trim();
  return bare === '' || /[.!?:]$/.test(bare) ? bare : `${bare}.`;
}
