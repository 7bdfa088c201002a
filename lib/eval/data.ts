/** The data of an evaluation: a file of the user's, or the hub's, which is kept in the usual cache. None is shipped. */
import { openDataset } from '../hub/dataset';
import type { HubFile } from '../hub/file';
import { readRows, type Row } from '../hub/rows';

export type { Row } from '../hub/rows';

/** Files of the hub that evaluations read where no other is named. */
export const HUB_DATA = {
  ifeval: { type: 'dataset', repo: 'google/IFEval', path: 'ifeval_input_data.jsonl' },
  gsm8k: { type: 'dataset', repo: 'openai/gsm8k', path: 'main/test-00000-of-00001.parquet' },
  humaneval: {
    type: 'dataset',
    repo: 'openai/openai_humaneval',
    path: 'openai_humaneval/test-00000-of-00001.parquet',
  },
  alpacaeval: { type: 'dataset', repo: 'tatsu-lab/alpaca_eval', path: 'alpaca_eval.json' },
} as const satisfies Record<string, HubFile>;

/**
 * Records of `data`, a .jsonl, .json or .parquet file, or of the hub's file where it is undefined.
 * @throws LspError as `openDataset` and `readRows`
 */
export async function readData(data: string | undefined, fallback: HubFile): Promise<Row[]> {
  return readRows(await openDataset(data, fallback));
}
