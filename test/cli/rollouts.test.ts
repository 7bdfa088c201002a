/** Rollouts and a reference in int8 on the command line: recorded, and resumed bit for bit. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lsp, values } from './support';

const root = mkdtempSync(join(tmpdir(), 'lsp-cli-rollouts-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const run = (out: string, steps: number, ...more: string[]) =>
  lsp([
    ...['train', '--model', 'tiny', '--out', join(root, out), '--rollouts', 'int8', '--steps', String(steps)],
    ...[
      '--checkpoint-every',
      '2',
      '--probe-size',
      '19',
      '--queries',
      '8',
      '--answers',
      '4',
      '--threads',
      '1',
    ],
    ...['--schedule', 'constant', '--learning-rate', '1e-3', '--kl-beta', '0.01'],
    ...['--reference-precision', 'int8', ...more],
  ]);
const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const outcome = (out: string) => {
  const checkpoint = join(root, out, 'checkpoints', 'step-000004');
  return {
    metrics: readFileSync(join(root, out, 'metrics.jsonl'), 'utf8'),
    samples: readFileSync(join(root, out, 'samples.jsonl'), 'utf8'),
    weights: digest(join(checkpoint, 'model', 'model.safetensors')),
    moments: digest(join(checkpoint, 'optimizer.safetensors')),
  };
};

test('a resumed run is the uninterrupted one, bit for bit, and records the mismatch', async () => {
  expect(await run('whole', 4)).toMatchObject({ code: 0 });
  expect(await run('half', 2)).toMatchObject({ code: 0 });
  for (const option of ['rollouts', 'reference-precision']) {
    const other = await lsp([
      'train',
      '--resume',
      join(root, 'half'),
      '--steps',
      '4',
      `--${option}`,
      'exact',
    ]);
    expect(other.code).not.toBe(0);
    expect(other.stderr).toContain(`--${option}`);
  }
  const resumed = await lsp(['train', '--resume', join(root, 'half'), '--steps', '4']);
  expect(resumed).toMatchObject({ code: 0 });
  expect(outcome('half')).toEqual(outcome('whole'));
  const steps = values(outcome('whole').metrics) as {
    updated: boolean;
    mismatch: { kl: number };
    solver: { kl: number };
  }[];
  expect(steps).toHaveLength(4);
  expect(steps.some(({ updated }) => updated)).toBe(true);
  // The first step's reference is its sampler, not quite the trained policy.
  expect(steps[0]!.solver.kl).not.toBe(0);
  expect(Math.abs(steps[0]!.solver.kl)).toBeLessThan(0.01);
  for (const { mismatch } of steps) {
    expect(mismatch.kl).toBeGreaterThan(0);
    expect(mismatch.kl).toBeLessThan(0.01); // 0.0002 in training
  }
});
