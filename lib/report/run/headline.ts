/** What came out of a run, in plain words and key figures. */
import { basename } from 'node:path';
import { count, duration, formatNumber, percent, points, WHOLE } from '../format';
import type { Facts } from '../types';
import { beforeAndAfter, total, type Probe, type RunData } from './run-data';

export interface Headline {
  overline: string;
  headline: string;
  lead: string[];
  facts: Facts;
}

export function headlineOf(run: RunData): Headline {
  const method = run.config.kind === 'lsp' ? 'Self-play' : 'GRPO';
  const { before, after } = beforeAndAfter(run);
  return {
    overline: `${method} · ${run.name}`,
    headline: sentence(run, before, after),
    lead: [played(run), ...measured(before, after)],
    facts: { kind: 'facts', facts: factsOf(run, before, after) },
  };
}

function sentence(run: RunData, before: Probe | null, after: Probe | null): string {
  if (before && after) {
    const { change } = after;
    const steps = count(after.step, 'step');
    const scores = `from ${percent(before.score)} to ${percent(after.score)}`;
    if (change && change.low > 0) return `Better at held-out tasks: ${scores} in ${steps}`;
    if (change && change.high < 0) return `Worse at held-out tasks: ${scores} in ${steps}`;
    if (change) return `No clear change on held-out tasks: ${scores} in ${steps}`;
    return `On held-out tasks: ${scores} in ${steps}`;
  }
  const done = run.steps > 0 ? count(run.steps, 'step') : 'No step';
  const state = run.steps > 0 ? 'done' : 'finished yet';
  if (before && before.step === 0)
    return `${done} ${state}; ${percent(before.score)} on held-out tasks at the start`;
  return `${done} ${state}, not measured on held-out tasks`;
}

function played(run: RunData): string {
  const model = basename(run.config.model.path);
  const steps =
    run.stepsWanted === null || run.stepsWanted === run.steps
      ? count(run.steps, 'step')
      : `${formatNumber(run.steps, WHOLE)} of ${count(run.stepsWanted, 'step')}`;
  const queries = total(run.metrics, 'queries');
  const answered = total(run.metrics, 'validQueries');
  const of =
    answered === queries ? '' : `, of which ${formatNumber(answered, WHOLE)} were accepted and answered`;
  if (run.steps === 0) return `The model is ${model}. Once a step is finished there is more to see here.`;
  return run.config.kind === 'lsp'
    ? `${model} played ${steps} against itself. As the Challenger it wrote ${count(queries, 'query', 'queries')}${of}.`
    : `${model} answered ${count(queries, 'query', 'queries')} in ${steps}.`;
}

function measured(before: Probe | null, after: Probe | null): string[] {
  if (!before || !after) return [];
  const { change } = after;
  if (!change) return ['The tasks of the two measurements cannot be paired, so there is no interval.'];
  const tasks = count(before.scores.length, 'held-out task');
  const moved =
    `On ${tasks} the mean score changed by ${points(change.mean)} points ` +
    `(95% interval ${points(change.low)} to ${points(change.high)}, paired by task); ` +
    `${formatNumber(change.changed, WHOLE)} of them score differently.`;
  return [`${moved} ${meaning(change)}`];
}

/** The interval is about the choice of tasks; another seed is another run. */
function meaning({ mean, low, high, changed }: NonNullable<Probe['change']>): string {
  if (changed === 0) return 'The run has not moved what is measured.';
  if (low > 0)
    return 'That is more than the choice of tasks explains. It is one seed: another run may differ.';
  if (high < 0) return 'That is a loss of more than the choice of tasks explains.';
  const what = mean >= 0 ? 'an improvement' : 'a loss';
  return `The interval contains 0: ${what} of this size can be chance.`;
}

function when({ step }: Probe): string {
  return step === 0 ? 'at the start' : `after ${count(step, 'step')}`;
}

function factsOf(run: RunData, before: Probe | null, after: Probe | null): Facts['facts'] {
  const facts: { name: string; value: string; note?: string }[] = [];
  if (before) {
    facts.push({ name: 'Before', value: percent(before.score), note: when(before) });
  }
  if (before && after) {
    facts.push({ name: 'After', value: percent(after.score), note: when(after) });
    const { change } = after;
    facts.push({
      name: 'Change, points',
      value: points(change ? change.mean : after.score - before.score),
      note: change ? `95% interval ${points(change.low)} to ${points(change.high)}` : 'no interval',
    });
  }
  const best = run.probes.reduce<Probe | null>((a, b) => (a && a.score >= b.score ? a : b), null);
  if (best && after && best.step !== after.step && best.score > after.score) {
    facts.push({ name: 'Best', value: percent(best.score), note: when(best) });
  }
  facts.push({
    name: 'Steps',
    value: String(run.steps),
    ...(run.stepsWanted !== null && { note: `of ${run.stepsWanted}` }),
  });
  if (run.timings.length > 0) {
    const seconds = total(run.timings, 'seconds', 'total');
    facts.push({
      name: 'Time',
      value: duration(seconds),
      note: `${duration(seconds / run.timings.length)} a step`,
    });
  }
  return facts;
}
