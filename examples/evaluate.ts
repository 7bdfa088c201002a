/**
 * How good a model is, and how sure that is: IFEval on rows of your own, run in a folder from which it goes on.
 *
 *   npx ts-node examples/evaluate.ts tiny
 *   npx ts-node examples/evaluate.ts model.gguf input_data.jsonl
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IfEval, LanguageModel, runEvaluation } from 'lsp';

const [source = 'tiny', data] = process.argv.slice(2);

const ROWS = ['Sort: k c a', 'Sort: d b', 'Reverse: k c a'].map((prompt, key) => ({
  key,
  prompt,
  instruction_id_list: ['punctuation:no_comma', 'change_case:english_lowercase'],
  kwargs: [{}, {}],
}));

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lsp-evaluate-'));
  try {
    const rows = data ?? join(folder, 'rows.jsonl');
    if (data === undefined) await writeFile(rows, ROWS.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const evaluation = await IfEval.load({ data: rows });
    await using model = await LanguageModel.load(source);
    const { metrics, failed } = await runEvaluation(evaluation, model, {
      out: join(folder, 'results'), // interrupted, the same call goes on here
      maxNewTokens: 64,
      limit: 20,
    });
    for (const { label, value, low, high } of metrics.slice(0, 4)) {
      const percents = [value, low, high].map((share) => `${(100 * (share ?? NaN)).toFixed(1)} %`);
      console.log(`${label}: ${percents[0]}, 95 % interval ${percents[1]} to ${percents[2]}`);
    }
    console.log(`${failed.length} items could not be judged`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
