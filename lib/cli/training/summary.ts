/** The closing words of a run: what came out of it, what that is worth, where it lies, how to use it. */
import { join } from 'node:path';
import type { ProbeRecord, RunDirectory } from '../../run/run-directory';
import { loraOf } from '../../run/lora-options';
import type { TrainOptions } from '../../run/train-options';
import { percent, type Output } from '../output';
import { pairedDifference, type PairedDifference } from '../../eval/probe';
import { gameOf } from './games';

export interface SummaryParts {
  run: RunDirectory;
  options: TrainOptions;
  output: Output;
  /** Path of the page about the run; null if it could not be written. */
  report: string | null;
}

/** Prints the `end` event and returns the summary for people. */
export async function summarize({ run, options, output, report }: SummaryParts): Promise<string[]> {
  const step = options.steps;
  const probes = await run.probes.read();
  const [before, after] = [0, step].map((at) => probes.find((probe) => probe.step === at));
  const difference = before && after ? pairedDifference(before.scores, after.scores) : null;
  const best = await run.bestProbe();
  const outcome = outcomeOf(run, options, step);
  output.value({
    event: 'end',
    run: run.path,
    step,
    before: before?.score ?? null,
    after: after?.score ?? null,
    difference: difference?.mean ?? null,
    interval: difference ? [difference.low, difference.high] : null,
    best: best && { step: best.step, score: best.score },
    ...outcome,
    report,
  });
  const { words } = gameOf(options);
  const lines = before && after && difference ? probeLines(before, after, difference, words) : [];
  if (best && after && best.step !== step && best.score > after.score) {
    lines.push(`The best checkpoint by the ${words.score} is step ${best.step} (${percent(best.score)}).`);
  }
  const ask = options.task === 'world' ? 'Sort: k c a' : 'Name three rivers.';
  return [
    ...lines,
    '',
    ...(report === null ? [] : [`Look:      ${report}`]),
    `Try it:    npx lsp generate ${flagsOf(outcome)} --prompt "${ask}"`,
    `Go on:     ${goOn(run.path, options, outcome)}`,
    ...(outcome.adapter === undefined ? [] : [`Merge:     ${exportOf(outcome)}`]),
    `Samples:   ${join(run.path, 'samples.jsonl')}`,
  ];
}

/** What a run leaves: a model, or an adapter on the model it started from. */
interface Outcome {
  model: string;
  adapter?: string;
}

function outcomeOf(run: RunDirectory, options: TrainOptions, step: number): Outcome {
  const { modelPath, adapterPath } = run.checkpoints.at(step);
  return loraOf(options) ? { model: run.config.model.path, adapter: adapterPath } : { model: modelPath };
}

function flagsOf({ model, adapter }: Outcome): string {
  return `--model ${model}${adapter === undefined ? '' : ` --adapter ${adapter}`}`;
}

/** Where the command puts the merged model. */
const MERGED = 'merged';

function exportOf(outcome: Outcome): string {
  return `npx lsp export ${flagsOf(outcome)} --out ${MERGED}`;
}

/** The same run, longer; a new one where the learning rate of this one has come to nothing. */
function goOn(path: string, options: TrainOptions, outcome: Outcome): string {
  const { schedule, steps, task, queriesFile, reward } = options;
  if (schedule === 'constant') return `npx lsp train --resume ${path} --steps ${2 * steps}`;
  const data = queriesFile === undefined ? '' : ` --queries-file ${queriesFile}`;
  const judged = reward === undefined ? '' : ` --reward ${reward}`;
  const train = (model: string) => `npx lsp train --model ${model} --task ${task}${data}${judged}`;
  return outcome.adapter === undefined ? train(outcome.model) : `${exportOf(outcome)} && ${train(MERGED)}`;
}

function probeLines(
  before: ProbeRecord,
  after: ProbeRecord,
  difference: PairedDifference,
  words: { score: string; items: string },
): string[] {
  const { mean, low, high } = difference;
  const points = (share: number) => `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)}`;
  return [
    ...groupTable(before, after),
    `The ${words.score} on ${after.scores.length} ${words.items}: ${percent(before.score)} before, ` +
      `${percent(after.score)} after: ${points(mean)} points, 95 % interval ${points(low)} to ${points(high)}.`,
    meaning(difference),
  ];
}

/** Scores of each group of prompts, before and after. */
function groupTable(before: ProbeRecord, after: ProbeRecord): string[] {
  if (!before.groups || !after.groups) return [];
  const width = Math.max(...after.groups.map(({ name }) => name.length));
  const cell = (share: number | undefined) => (share === undefined ? '–' : percent(share, 0)).padStart(8);
  return [
    `${''.padEnd(width)}${'before'.padStart(8)}${'after'.padStart(8)}`,
    ...after.groups.map(({ name, score }) => {
      const earlier = before.groups!.find((group) => group.name === name);
      return `${name.padEnd(width)}${cell(earlier?.score)}${cell(score)}`;
    }),
    '',
  ];
}

/** What a difference is worth. The interval is about the choice of prompts; another seed is another run. */
function meaning({ mean, low, high, changed }: PairedDifference): string {
  if (changed === 0) return 'No score has changed: the run has not moved what the probe measures.';
  if (low > 0)
    return 'Better, by more than the choice of prompts explains. (One seed: another run may differ.)';
  if (high < 0)
    return 'Worse, by more than the choice of prompts explains: look at the samples and the warnings.';
  return (
    `The interval contains 0: ${mean >= 0 ? 'an improvement' : 'a loss'} of this size can be chance. More steps, or a ` +
    'larger --probe-size, would tell.'
  );
}
