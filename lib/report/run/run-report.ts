/** The report of a run: which blocks it has and in which order. */
import type { Block, Report, Section } from '../types';
import { heldOutBlocks, playBlocks, trainingBlocks } from './charts';
import { configurationBlocks } from './configuration';
import { headlineOf } from './headline';
import { noticesOf } from './notices';
import type { RunData } from './run-data';
import { samplesTable } from './samples';

export function runReport(run: RunData): Report {
  const { facts, ...head } = headlineOf(run);
  const summary: Block[] = [facts, { kind: 'notices', notices: noticesOf(run) }];
  return {
    title: `${run.name}: report of a run`,
    ...head,
    summary,
    sections: run.steps === 0 && run.probes.length === 0 ? [configuration(run)] : sections(run),
    colophon: 'Made by lsp report from the files of the run. The page loads nothing from anywhere.',
  };
}

function sections(run: RunData): Section[] {
  const samples = samplesTable(run.samples);
  return [
    {
      id: 'held-out',
      title: 'Held-out tasks',
      lead: 'The measure of progress: tasks that the run never trains on.',
      blocks: heldOutBlocks(run),
    },
    ...(run.steps === 0 ? [] : stepSections(run)),
    {
      id: 'samples',
      title: 'Samples',
      lead: 'What was asked and answered. Numbers can mislead; read some.',
      blocks: samples ? [samples] : [{ kind: 'paragraph', text: 'The run has recorded no samples.' }],
    },
    configuration(run),
  ];
}

function stepSections(run: RunData): Section[] {
  return [
    { id: 'play', title: run.config.kind === 'lsp' ? 'The game' : 'The answers', blocks: playBlocks(run) },
    { id: 'training', title: 'The training', blocks: trainingBlocks(run) },
  ];
}

function configuration(run: RunData): Section {
  return { id: 'configuration', title: 'Configuration', blocks: configurationBlocks(run) };
}
