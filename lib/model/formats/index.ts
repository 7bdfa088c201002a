/** Opening a model: which format a path holds, and what is in it, before any weight is read. */
import { type Stats, statSync } from 'node:fs';
import { LspError } from '../../errors';
import { BUNDLED_MODEL, pathOfSource } from './bundled';
import { openGguf } from './gguf-model';
import { openHuggingFace } from './huggingface';
import { corrupt, ioError } from './model-file';
import type { ModelSource } from './model-source';

export { BUNDLED_MODEL, pathOfSource } from './bundled';
export type { ModelSource, SpecialToken, SpecialTokens, TokenizerSource } from './model-source';

/**
 * Reads and checks everything but the weights of a model.
 *
 * @param source a .gguf file, a Hugging Face directory, or 'tiny', the bundled model
 * @throws LspError IO_ERROR (nothing there, no permission), INVALID_MODEL_FILE (corrupt),
 *   UNSUPPORTED_MODEL (well-formed, but of a kind this version does not run)
 */
export function openModelSource(source: string): ModelSource {
  const path = pathOfSource(source);
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw ioError(path, 'open', error, isMissing ? ` The bundled model is called ${BUNDLED_MODEL}.` : '');
  }
  try {
    if (stats.isDirectory()) return openHuggingFace(path);
    if (stats.isFile()) {
      if (/\.safetensors$/i.test(path)) {
        throw corrupt(
          path,
          'expected a model, but these are only weights.',
          'Give the directory that holds the file.',
        );
      }
      return openGguf(path);
    }
  } catch (error) {
    if (error instanceof LspError) throw error;
    // Anything unforeseen while reading a file is the file's fault to the caller; the cause keeps the detail.
    throw corrupt(
      path,
      `it could not be read (${error instanceof Error ? error.message : String(error)}).`,
      undefined,
      error,
    );
  }
  throw corrupt(path, 'expected a .gguf file or a model directory.', 'Check the path.');
}
