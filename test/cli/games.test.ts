/** `lsp train` with other games than the default one, on a random model: that they are played, measured and go on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAMILY_CASES, writeFamilyModel } from '../support/family-model';
import { lsp, values } from './support';

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lsp-games-'));
  // A context that holds the Challenger's examples, byte by byte.
  const { config, parameters } = FAMILY_CASES.language['qwen3']!;
  model = writeFamilyModel(join(folder, 'model'), {
    config: { ...config, max_position_embeddings: 8192 },
    parameters,
  });
});
afterAll(() => rm(folder, { recursive: true }));

const train = (out: string, ...more: string[]) => [
  ...[
    'train',
    '--model',
    model,
    '--out',
    join(folder, out),
    '--steps',
    '1',
    '--queries',
    '2',
    '--answers',
    '2',
  ],
  ...[
    '--query-tokens',
    '8',
    '--max-new-tokens',
    '8',
    '--probe-size',
    '4',
    '--self-reward',
    '0',
    '--json',
    ...more,
  ],
];

describe('lsp train', () => {
  it('plays sums, and measures arithmetic', async () => {
    const { code, stdout, stderr } = await lsp(train('sums', '--task', 'sums'));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const probes = values(stdout).filter(({ event }) => event === 'probe');
    expect(probes.map(({ step }) => step)).toEqual([0, 1]);
    expect(stderr).toMatch(/held-out problems/);
  });

  it('plays without constraints where a reward model scores the answers', async () => {
    const { config, parameters } = FAMILY_CASES.scoring['llama-scoring']!;
    const scoring = writeFamilyModel(join(folder, 'scoring'), {
      config: { ...config, max_position_embeddings: 8192 },
      parameters,
    });
    const args = ['--task', 'open', '--reward-model', scoring, '--preset', 'zero'];
    const { code, stdout } = await lsp(train('open', ...args));
    expect(code).toBe(0);
    const [step] = values(stdout).filter(({ event }) => event === 'step');
    expect(step).toBeDefined();
    expect(values(stdout)[0]).toMatchObject({ event: expect.any(String) as string });
  });

  it('says what is wrong with a reward model before it begins', async () => {
    const { code, stderr } = await lsp(train('none', '--task', 'open', '--reward-model', model));
    expect(code).toBe(1);
    expect(stderr).toMatch(/scores sequences .* received a language model/);
    const missing = await lsp(train('none', '--task', 'open'));
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringMatching(/--reward-model/) as string });
  });
});
