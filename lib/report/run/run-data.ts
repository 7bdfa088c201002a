/** What a report of a run is made from, read from its directory. */
import { basename, join, resolve } from 'node:path';
import { pairedDifference, type PairedDifference } from '../../eval/probe/paired-difference';
import { RunDirectory, type RunConfig } from '../../run/run-directory';
import { listAt, numberAt, readByStep, textAt, type JsonRecord } from './records';
import { readSamples, type Samples } from './samples';

export interface Probe {
  step: number;
  score: number;
  scores: number[];
  groups: { name: string; score: number; count: number | null }[];
  /** What has changed since the first probe, task by task; null without pairs, and for the first itself. */
  change: PairedDifference | null;
}

export interface RunData {
  name: string;
  config: RunConfig;
  metrics: JsonRecord[];
  timings: JsonRecord[];
  probes: Probe[];
  samples: Samples;
  /** Steps done. */
  steps: number;
  /** Steps asked for, if the options say so. */
  stepsWanted: number | null;
  /** Lines that could not be read. */
  damaged: number;
}

/** @throws LspError INVALID_CHECKPOINT (no run), IO_ERROR */
export async function readRun(path: string): Promise<RunData> {
  const directory = resolve(path);
  const config = await RunDirectory.readConfig(directory);
  const metrics = await readByStep(join(directory, 'metrics.jsonl'));
  const timings = await readByStep(join(directory, 'timings.jsonl'));
  const probes = await readByStep(join(directory, 'probe.jsonl'));
  const samples = await readSamples(join(directory, 'samples.jsonl'));
  return {
    name: basename(directory),
    config,
    metrics: metrics.records,
    timings: timings.records,
    probes: probesOf(probes.records),
    samples,
    steps: metrics.records.at(-1)?.step ?? 0,
    stepsWanted: numberAt(config.options, 'steps'),
    damaged: metrics.damaged + timings.damaged + probes.damaged + samples.damaged,
  };
}

function probesOf(records: readonly JsonRecord[]): Probe[] {
  const probes: Probe[] = [];
  for (const record of records) {
    const score = numberAt(record, 'score');
    if (score === null) continue;
    const scores = listAt(record, 'scores').filter((one) => typeof one === 'number' && Number.isFinite(one));
    const first = probes[0];
    const change = first ? pairedDifference(first.scores, scores as number[]) : null;
    probes.push({ step: record.step, score, scores: scores as number[], groups: groupsOf(record), change });
  }
  return probes;
}

function groupsOf(record: JsonRecord): Probe['groups'] {
  return listAt(record, 'groups').flatMap((group) => {
    const name = textAt(group, 'name');
    const score = numberAt(group, 'score');
    return name === null || score === null ? [] : [{ name, score, count: numberAt(group, 'count') }];
  });
}

/** The first probe and the last one after it. */
export function beforeAndAfter(run: RunData): { before: Probe | null; after: Probe | null } {
  return { before: run.probes[0] ?? null, after: run.probes.length > 1 ? run.probes.at(-1)! : null };
}

/** Sum of a number over all steps. */
export function total(records: readonly JsonRecord[], ...path: readonly string[]): number {
  return records.reduce((sum, record) => sum + (numberAt(record, ...path) ?? 0), 0);
}
