/** The closing words of a run: what came out of it, what that is worth, where it lies, how to use it. */
import { join } from 'node:path';
import type { ProbeRecord, RunDirectory } from '../../run/run-directory';
import type { TrainOptions } from '../../run/train-options';
import type { Output } from '../output';
import { pairedDifference, type PairedDifference } from '../../eval/probe';

export interface SummaryParts {
  run: RunDirectory;
  options: TrainOptions;
  output: Output;
}

/** Prints the `end` event and returns the summary for people. */
export async function summarize({ run, options, output }: SummaryParts): Promise<string[]> {
  const step = options.steps;
  const probes = await run.probes.read();
  const [before, after] = [0, step].map((at) => probes.find((probe) => probe.step === at));
  const difference = before && after ? pairedDifference(before.scores, after.scores) : null;
  const best = await run.bestProbe();
  const modelOf = (at: number) => run.checkpoints.at(at).modelPath;
  output.value({
    event: 'end',
    run: run.path,
    step,
    before: before?.score ?? null,
    after: after?.score ?? null,
    difference: difference?.mean ?? null,
    interval: difference ? [difference.low, difference.high] : null,
    best: best && { step: best.step, score: best.score },
    model: modelOf(step),
  });
  const lines = before && after && difference ? probeLines(before, after, difference) : [];
  if (best && after && best.step !== step && best.score > after.score) {
    lines.push(`The best checkpoint by the probe is step ${best.step} (${best.score.toFixed(3)}).`);
  }
  return [
    ...lines,
    `The run lies in ${run.path}: metrics.jsonl, samples.jsonl, checkpoints.`,
    `Try it:    npx lsp generate --model ${modelOf(step)} --prompt "Name three rivers."`,
    `Go on:     npx lsp train --resume ${run.path} --steps ${2 * step}`,
    `Samples:   ${join(run.path, 'samples.jsonl')}`,
  ];
}

function probeLines(before: ProbeRecord, after: ProbeRecord, difference: PairedDifference): string[] {
  const { mean, low, high } = difference;
  return [
    `Probe: ${before.score.toFixed(3)} before, ${after.score.toFixed(3)} after, on ${after.scores.length} held-out ` +
      `prompts: ${signed(mean)}, 95 % interval ${signed(low)} to ${signed(high)}.`,
    meaning(difference),
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

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
}
