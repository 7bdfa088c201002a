/**
 * What to worry about: what the run warned of while it went on, once each, and what only the whole run shows.
 *
 * Warnings repeat with other numbers ("at 28 %", "at 27 %"), so they are told apart by their words alone. What the run
 * has warned of itself is not said a second time.
 */
import { count, formatNumber, percent, points } from '../format';
import type { Notice } from '../types';
import { listAt, numberAt, textAt, type JsonRecord } from './records';
import { beforeAndAfter, total, type RunData } from './run-data';

export function noticesOf(run: RunData): Notice[] {
  const recorded = recordedWarnings(run.metrics);
  const computed = CHECKS.filter(
    ({ said }) => !said || !recorded.some(({ text }) => said.test(text)),
  ).flatMap(({ check }) => check(run));
  const notices = [
    ...computed.filter(isGrave),
    ...recorded,
    ...computed.filter((notice) => !isGrave(notice)),
  ];
  if (notices.some(({ severity }) => severity !== 'note') || run.steps === 0) return notices;
  const fine: Notice = {
    severity: 'good',
    text: 'Nothing to worry about.',
    detail:
      'Looked at: warnings of the run, the score, entropy, KL, lengths, rejected and repeated queries, signal.',
  };
  return [fine, ...notices];
}

const isGrave = ({ severity }: Notice) => severity === 'problem';

/** Warnings and steps without a signal as the run recorded them, each kind once, in order of appearance. */
function recordedWarnings(metrics: readonly JsonRecord[]): Notice[] {
  const kinds = new Map<string, { text: string; first: number; last: number; steps: number }>();
  for (const record of metrics) {
    const texts = [...listAt(record, 'warnings'), textAt(record, 'noSignal')];
    for (const text of texts) {
      if (typeof text !== 'string') continue;
      const kind = text.replace(/\([^)]*\)/g, '').replace(/[\d.,]+/g, '#');
      const known = kinds.get(kind);
      kinds.set(kind, {
        text,
        first: known?.first ?? record.step,
        last: record.step,
        steps: (known?.steps ?? 0) + 1,
      });
    }
  }
  return [...kinds.values()].map(({ text, first, last, steps }) => ({
    severity: 'warning',
    text,
    detail:
      steps === 1
        ? `In step ${first} alone.`
        : `In ${steps} of ${count(metrics.length, 'step')}, first in step ${first}, last in step ${last} (quoted).`,
  }));
}

interface Check {
  /** How the run's own warning of the same thing reads. */
  said?: RegExp;
  check: (run: RunData) => Notice[];
}

const CHECKS: readonly Check[] = [
  { check: scoreFell },
  { check: bestWasEarlier },
  { check: (run) => roleFell(run, 'solver', 'entropy'), said: /solver's entropy/ },
  { check: (run) => roleFell(run, 'challenger', 'entropy'), said: /challenger's entropy/ },
  { check: (run) => roleFell(run, 'solver', 'length'), said: /solver's texts have shrunk/ },
  { check: (run) => farFromReference(run, 'solver'), said: /solver is .* nats/ },
  { check: (run) => farFromReference(run, 'challenger'), said: /challenger is .* nats/ },
  { check: mostRejected, said: /queries were rejected/ },
  { check: mostRepeated },
  { check: littleSignal },
  { check: unfinished },
  { check: damagedLines },
];

function scoreIsDown(run: RunData): boolean {
  const { before, after } = beforeAndAfter(run);
  return !before || !after || after.score < before.score;
}

function scoreFell(run: RunData): Notice[] {
  const { before, after } = beforeAndAfter(run);
  if (!before || !after || after.score >= before.score) return [];
  const certain = after.change !== null && after.change.high < 0;
  return [
    {
      severity: certain ? 'problem' : 'warning',
      text: `The score on held-out tasks went down by ${points(before.score - after.score).slice(1)} points.`,
      detail: certain
        ? 'By more than the choice of tasks explains: look at the samples below, and at KL and entropy.'
        : 'The interval contains 0, so this can be chance.',
    },
  ];
}

function bestWasEarlier(run: RunData): Notice[] {
  const { after } = beforeAndAfter(run);
  const best = run.probes.reduce((a, b) => (a.score >= b.score ? a : b), run.probes[0]!);
  if (!after || best.step === 0 || best.step === after.step || best.score <= after.score) return [];
  return [
    {
      severity: 'note',
      text: `The best score, ${percent(best.score)}, was reached after ${count(best.step, 'step')}.`,
      detail: 'The checkpoint of that step is kept, if one was written then.',
    },
  ];
}

type Role = 'solver' | 'challenger';

/** Shares of the first step's value below which the run warns, too. */
const LEAST_SHARE = 0.3;

function roleFell(run: RunData, role: Role, name: 'entropy' | 'length'): Notice[] {
  const values = run.metrics.map((record) => numberAt(record, role, name)).filter((value) => value !== null);
  const [first, last] = [values[0], values.at(-1)];
  if (first === undefined || last === undefined || first <= 0 || last >= LEAST_SHARE * first) return [];
  const what = name === 'entropy' ? 'entropy' : 'texts';
  const isCertainty = name === 'entropy' && role === 'solver' && !scoreIsDown(run);
  return [
    {
      severity: isCertainty ? 'note' : 'warning',
      text: `The ${role}'s ${what} fell to ${percent(last / first)} of the first step's ${name}.`,
      detail:
        name === 'entropy'
          ? 'Its samples become all alike. Where a task has one right answer that is what learning looks like; ' +
            'elsewhere a larger KL coefficient or a lower learning rate holds against it.'
          : 'Short answers may be a way around the reward.',
    },
  ];
}

const WARN_KL = 0.5;

function farFromReference(run: RunData, role: Role): Notice[] {
  const last = run.metrics.map((record) => numberAt(record, role, 'kl')).findLast((kl) => kl !== null);
  if (last === undefined || last < WARN_KL) return [];
  return [
    {
      ...(run.config.options['klBeta'] === 0
        ? { severity: 'note', detail: 'The loss of this run does not charge for it: that was asked for.' }
        : { severity: 'warning', detail: 'A larger KL coefficient keeps it nearer.' }),
      text: `The ${role} is ${formatNumber(last)} nats a token away from the model that the run started from.`,
    },
  ];
}

function mostRejected(run: RunData): Notice[] {
  const queries = total(run.metrics, 'queries');
  const rejected = queries - total(run.metrics, 'validQueries');
  if (rejected <= queries / 2) return [];
  return [
    {
      severity: 'warning',
      text: `Most queries were rejected: ${rejected} of ${queries}.`,
      detail: 'The chart of rejections says why.',
    },
  ];
}

function mostRepeated(run: RunData): Notice[] {
  const late = run.metrics.slice(-Math.ceil(run.metrics.length / 4));
  const shares = late.map((record) => numberAt(record, 'duplicateShare')).filter((share) => share !== null);
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  if (shares.length === 0 || mean <= 0.5) return [];
  return [
    {
      severity: 'warning',
      text: `The Challenger repeats itself: ${percent(mean)} of its queries in the last quarter of the run are near-duplicates.`,
    },
  ];
}

function littleSignal(run: RunData): Notice[] {
  const groups = total(run.metrics, 'validQueries');
  const without = total(run.metrics, 'zeroSignalGroups');
  if (groups === 0 || without <= groups / 2) return [];
  return [
    {
      // Where most answers are right there is less and less to learn, and that is as it should be.
      severity: scoreIsDown(run) ? 'warning' : 'note',
      text: `There was little to learn from: in ${percent(without / groups)} of the groups all answers scored the same.`,
      detail: 'Tasks that are neither always nor never solved, or more answers a query, give more signal.',
    },
  ];
}

function unfinished(run: RunData): Notice[] {
  if (run.stepsWanted === null || run.steps >= run.stepsWanted) return [];
  return [
    {
      severity: 'note',
      text: `The run has ${count(run.steps, 'step')} of ${run.stepsWanted}: it is still going on, or was stopped.`,
      detail: 'This page shows what was recorded when it was made.',
    },
  ];
}

function damagedLines(run: RunData): Notice[] {
  if (run.damaged === 0) return [];
  return [
    {
      severity: 'warning',
      text: `${count(run.damaged, 'line')} of the run's files could not be read and ${run.damaged === 1 ? 'is' : 'are'} left out.`,
    },
  ];
}
