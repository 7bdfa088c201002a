/** AdamW's state file: which tensors it must hold, checked before any of it is read. */
import { corrupt, withModelFile } from '../model/formats/model-file';
import { readSafetensorsHeader } from '../model/formats/safetensors';
import type { NativeModel, TensorLocation } from '../native/addon';

/** Suffixes of a parameter's first and second moment. */
const MOMENTS = ['m', 'v'];
const REMEDY = 'The state is damaged or of another model: use the one saved with these weights.';

export interface LearnerState {
  tensors: TensorLocation[];
  stepCount: number;
}

/** @throws LspError INVALID_MODEL_FILE, IO_ERROR */
export function readLearnerState(path: string, model: NativeModel): LearnerState {
  const { metadata, tensors } = withModelFile(path, readSafetensorsHeader);
  const stepCount = Number(metadata['step_count'] ?? NaN);
  if (!Number.isSafeInteger(stepCount) || stepCount < 0) {
    throw corrupt(path, 'its `step_count` is missing or not a number.', REMEDY);
  }
  // Before the first update there are no moments.
  if (stepCount === 0 && tensors.length === 0) return { tensors: [], stepCount };
  const found = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const locations = model.trainedNames().flatMap((parameter) => {
    const shape = model.parameterShape(parameter);
    return MOMENTS.map((moment): TensorLocation => {
      const name = `${parameter}.${moment}`;
      const tensor = found.get(name);
      if (!tensor) throw corrupt(path, `tensor \`${name}\` is missing.`, REMEDY);
      found.delete(name);
      const fits =
        tensor.shape.length === shape.length && tensor.shape.every((length, axis) => length === shape[axis]);
      if (!fits || tensor.dtype !== 'F32') {
        throw corrupt(path, `tensor \`${name}\` is not [${shape.join(', ')}] in F32.`, REMEDY);
      }
      return {
        name,
        path,
        offset: tensor.offset,
        byteLength: tensor.byteLength,
        type: 'f32',
        shape: tensor.shape,
      };
    });
  });
  const [extra] = found.keys();
  if (extra !== undefined) throw corrupt(path, `tensor \`${extra}\` belongs to no parameter.`, REMEDY);
  return { tensors: locations, stepCount };
}
