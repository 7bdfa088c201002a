/** Models that a command names, on this machine: what only the hub has is downloaded first, and its progress shown. */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { parseHubSource, resolveModelSource } from '../hub/source';
import { COMPUTES, type LoadOptions } from '../model/loading';
import { expectOneOf } from '../options';
import { formatBytes } from '../run/memory-estimate';
import type { Output } from './output';

/** What `--model` takes, for the help. */
export const MODEL_SOURCES =
  'a .gguf file, a Hugging Face directory, org/name of the hub, or tiny, the bundled model';

/** The flag of commands that run a model: its name and its help. */
export const ADAPTER_FLAG = [
  '--adapter <dir>',
  'PEFT directory of a LoRA adapter to put on the model',
] as const;

/** The same of commands that only sample: frozen weights are held in what they are computed in. */
export const COMPUTE_FLAG = [
  '--compute <f32|bf16>',
  'arithmetic of matrix products; bf16 is faster where the processor has it, and holds weights in half the memory',
  'f32',
] as const;

/** What `COMPUTE_FLAG` asks of `LanguageModel.load`. @throws LspError INVALID_ARGUMENT */
export function precisionOf({ compute }: { compute: string }): Pick<LoadOptions, 'compute' | 'dtype'> {
  const known = expectOneOf('compute', compute, COMPUTES);
  return known === 'f32' ? {} : { compute: known, dtype: known };
}

/**
 * The path of a model's files, or what was given if it is one.
 * @throws LspError as `resolveModelSource`
 */
export async function localModel(source: string, output: Output, signal?: AbortSignal): Promise<string> {
  try {
    return await resolveModelSource(source, {
      ...(signal && { signal }),
      onProgress: ({ file, downloadedBytes, totalBytes }) =>
        output.progress(
          totalBytes > 0 ? downloadedBytes / totalBytes : 0,
          `downloading ${basename(file)}, ${formatBytes(totalBytes)}`,
        ),
    });
  } finally {
    output.endProgress();
  }
}

/** A short name for a model's folders: `SmolLM2` of `org/SmolLM2@main`, `model` of `path/model.gguf`. */
export function shortName(source: string): string {
  const hub = existsSync(source) ? undefined : parseHubSource(source);
  return basename(hub ? hub.repo : resolve(source)).replace(/\.gguf$/i, '');
}
