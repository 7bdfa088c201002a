/** Says what a run needs, and refuses one that cannot fit, before anything is loaded. */
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { LspError } from '../../errors';
import type { ModelSource } from '../../model/formats';
import { statusOf, withIoErrors } from '../../disk/files';
import {
  checkMemory,
  checkpointBytes,
  estimateTrainingMemory,
  formatBytes,
  machineMemory,
} from '../../run/memory-estimate';
import { adapterSizeOf } from '../../run/lora-options';
import type { TrainOptions } from '../../run/train-options';
import type { Output } from '../output';
import { memoryLine } from './report';
import { workloadOf } from './workload';

/** @throws LspError OUT_OF_MEMORY, IO_ERROR (no room for a checkpoint) */
export async function preflight(
  source: ModelSource,
  options: TrainOptions,
  directory: string,
  output: Output,
): Promise<void> {
  const { config } = source;
  const memory = estimateTrainingMemory(config, workloadOf(source, options));
  const checkpoint = checkpointBytes(config, adapterSizeOf(config, options));
  const free = await freeBytes(directory);
  output.value({ event: 'preflight', memory, checkpointBytes: checkpoint, freeDiskBytes: free });
  output.line(memoryLine(memory));
  const warning = checkMemory(memory, machineMemory());
  if (warning !== null) output.warn(warning);
  // The last K, the best, and one being written.
  const needed = (options.keep + 2) * checkpoint;
  output.line(`Disk: up to ${formatBytes(needed)} of checkpoints (${formatBytes(checkpoint)} each)`);
  if (free < checkpoint) {
    throw new LspError(
      'IO_ERROR',
      `Expected at least ${formatBytes(checkpoint)} of free disk space for a checkpoint but received ` +
        `${formatBytes(free)} at \`${directory}\`.`,
      { remedy: 'Free some space, or choose another disk with --out.' },
    );
  }
  if (free < needed) {
    output.warn(
      `Checkpoints may take ${formatBytes(needed)} and only ${formatBytes(free)} are free on the disk.`,
    );
  }
}

/** Free bytes on the disk of a path that may not exist yet. */
async function freeBytes(path: string): Promise<number> {
  let existing = resolve(path);
  while (!(await statusOf(existing)) && dirname(existing) !== existing) existing = dirname(existing);
  const { bavail, bsize } = await withIoErrors('ask for the free space of', existing, () => statfs(existing));
  return bavail * bsize;
}
