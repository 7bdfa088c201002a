/**
 * The workload in a process of its own, since threads, budget and instruction set are chosen once per model or process.
 * Arguments: the model, the size, and the options of `load` as JSON. Prints the fingerprints as JSON.
 */
import { LanguageModel, type LoadOptions } from '../../lib';
import { fingerprints, type WorkloadSize } from './workload';

async function main([source, size, options]: string[]): Promise<void> {
  await using model = await LanguageModel.load(source!, JSON.parse(options!) as LoadOptions);
  process.stdout.write(JSON.stringify(await fingerprints(model, size as WorkloadSize)));
}

void main(process.argv.slice(2));
