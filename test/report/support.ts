/** Run directories made up for reports: the files alone, without a run. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProbeRecord, RunConfig, TimingRecord } from '../../lib/run/run-directory';

export async function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'lsp-report-'));
}

export async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

export const CONFIG: RunConfig = {
  format: 1,
  kind: 'lsp',
  createdAt: '2025-01-01T09:30:00.000Z',
  versions: { lsp: '0.1.0', node: 'v20.19.0', platform: 'linux-x64', isa: 'avx2' },
  model: {
    path: '/models/SmolLM2-135M-Instruct.Q4_1.gguf',
    files: [
      { file: 'SmolLM2-135M-Instruct.Q4_1.gguf', bytes: 98_765_432, sha256: 'c0ffee'.repeat(10) + 'beef' },
    ],
  },
  options: {
    preset: 'recommended',
    steps: 60,
    queries: 8,
    answers: 6,
    learningRate: 2e-5,
    klBeta: 0.05,
    seed: 7,
  },
};

/** Objects become lines; strings are written as they are. */
export interface RunFiles {
  config?: unknown;
  metrics?: readonly unknown[];
  samples?: readonly unknown[];
  probes?: readonly unknown[];
  timings?: readonly unknown[];
}

export async function writeRun(path: string, files: RunFiles): Promise<string> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'config.json'), JSON.stringify(files.config ?? CONFIG));
  const names = { metrics: 'metrics', samples: 'samples', probes: 'probe', timings: 'timings' } as const;
  for (const [key, name] of Object.entries(names)) {
    const lines = files[key as keyof typeof names];
    if (lines === undefined) continue;
    const text = lines
      .map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`))
      .join('');
    await writeFile(join(path, `${name}.jsonl`), text);
  }
  return path;
}

/** Numbers in [0, 1) that look random and are the same every time. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const KINDS = ['addition', 'sorting', 'counting', 'bullet points', 'at most 40 words'];
const CAUSES = ['too-short', 'duplicate', 'seen-before', 'markup', 'no-task', 'copied', 'language'];

export interface Shape {
  steps: number;
  queries?: number;
  answers?: number;
}

/** The files of a run that goes well, with all fields that a run may have. */
export function goodRun({ steps, queries = 8, answers = 6 }: Shape): Required<RunFiles> {
  const random = randomNumbers(11);
  const noise = (size: number) => (random() - 0.5) * size;
  const metrics: unknown[] = [];
  const samples: unknown[] = [];
  const timings: TimingRecord[] = [];
  for (let step = 1; step <= steps; step++) {
    const share = step / steps;
    const progress = 1 - Math.exp(-3 * share);
    const role = (reward: number, entropy: number, length: number) => ({
      samples: queries,
      reward: reward + noise(0.12),
      rewardStd: 0.3,
      advantage: 0.2,
      kl: 0.06 * share + noise(0.01),
      entropy: entropy * (1 - 0.35 * progress) + noise(0.08),
      length: length + noise(8),
      clippedShare: Math.max(0, 0.2 - 0.15 * progress + noise(0.05)),
      loss: 0.01,
      ratioClippedShare: 0,
    });
    const rejections: Record<string, number> = {};
    const rejected = Array.from({ length: queries }, () => random() < 0.18 - 0.1 * progress);
    const causes = rejected.map((is) => (is ? CAUSES[Math.floor(random() ** 2 * CAUSES.length)]! : null));
    for (const cause of causes) if (cause !== null) rejections[cause] = (rejections[cause] ?? 0) + 1;
    metrics.push({
      step,
      solver: role(0.4 + 0.2 * progress, 2.1, 58),
      challenger: role(0.3 + 0.1 * progress, 2.6, 21),
      value: 0.4 + 0.2 * progress + noise(0.1),
      quality: null,
      validQueries: causes.filter((cause) => cause === null).length,
      queries,
      rejections,
      duplicateShare: Math.max(0, 0.05 + 0.1 * share + noise(0.1)),
      zeroSignalGroups: 1,
      noSignal: null,
      updated: true,
      gradNorm: 1.4 - 0.6 * progress + noise(0.3),
      learningRate: 2e-5,
      tokens: 4000,
      difficulty: { mean: 2 + 3 * share + noise(0.6), max: Math.round(4 + 4 * share) },
      warnings: [],
    });
    timings.push({
      step,
      seconds: {
        challenger: 3 + noise(1),
        solver: 7 + noise(2),
        reward: 0.2,
        judge: 0,
        reference: 1.5 + noise(0.3),
        update: 11 + noise(2),
        total: 23,
      },
      tokens: 4000,
    });
    causes.forEach((cause, index) => samples.push(sample(random, { step, index, cause, answers, progress })));
  }
  return {
    config: { ...CONFIG, options: { ...CONFIG.options, steps } },
    metrics,
    samples,
    timings,
    probes: goodProbes(steps),
  };
}

const TOPICS = [
  'a harbour at dawn',
  'three rivers',
  'how bread rises',
  'the moons of Mars',
  'a letter to a neighbour',
];

function sample(
  random: () => number,
  at: { step: number; index: number; cause: string | null; answers: number; progress: number },
) {
  const { step, index, cause, answers, progress } = at;
  const written = `Write about ${TOPICS[Math.floor(random() * TOPICS.length)]!}, as seen in step ${step}.`;
  const rewards =
    cause === null ? Array.from({ length: answers }, () => (random() < 0.4 + 0.25 * progress ? 1 : 0)) : [];
  return {
    step,
    index,
    written,
    query: cause === null ? `${written} Use at most ${20 + index * 5} words and no commas.` : null,
    rejected: cause,
    info: { kind: KINDS[index % KINDS.length], level: 1 + (index % 5) },
    value:
      rewards.length > 0 ? rewards.reduce((sum: number, reward) => sum + reward, 0) / rewards.length : null,
    advantage: 0,
    answers: rewards.map((reward, i) => ({
      text: `Answer ${i + 1}: the water lay still, and the boats with it. `.repeat(1 + (i % 3)).trim(),
      tokens: 14 * (1 + (i % 3)),
      finishReason: i % 5 === 4 ? 'length' : 'eos',
      reward,
      quality: null,
      advantage: reward - 0.5,
    })),
  };
}

function goodProbes(steps: number): ProbeRecord[] {
  const random = randomNumbers(5);
  const difficulty = Array.from({ length: 96 }, () => random());
  const at = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * steps));
  return [...new Set(at)].map((step) => {
    const skill = 0.42 + 0.25 * (1 - Math.exp(-3 * (step / steps)));
    const scores = difficulty.map((hard) => (hard < skill + (random() - 0.5) * 0.06 ? 1 : 0));
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const groups = KINDS.map((name, i) => {
      const own = scores.filter((_, k) => k % KINDS.length === i);
      return { name, score: mean(own), count: own.length };
    });
    return { step, score: mean(scores), scores, meanTokens: 41, groups };
  });
}

export interface EmbeddedData {
  charts: Record<
    string,
    { series: { name: string; values: (number | null)[] }[]; along: { positions: unknown[] } }
  >;
  records: Record<string, { rows: unknown[][]; columns: { name: string }[] }>;
}

/** The data that the scripts of a page draw from. */
export function dataIn(page: string): EmbeddedData {
  const found = /<script type="application\/json" id="report-data">([^<]*)<\/script>/.exec(page);
  if (!found) throw new Error('The page holds no data.');
  return JSON.parse(found[1]!) as EmbeddedData;
}

export async function readPage(path: string): Promise<string> {
  return readFile(path, 'utf8');
}
