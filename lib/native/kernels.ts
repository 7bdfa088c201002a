/** Single kernels as plain functions, for people who want to call or measure one without a model. */
import type { NativeKernels } from './addon';
import { withSignal } from './call';
import { loadAddon } from './load';

/**
 * The kernels in force here (`LSP_ISA` chooses the variant). Row-major arrays in, fresh arrays out, computed off the
 * event loop. Shapes are given by name with each call and checked against the arrays.
 *
 * Each rejects with LspError `INVALID_ARGUMENT` if an array does not fit its shape, and `NATIVE_LOAD_FAILED` if there is
 * no addon.
 */
export const kernels: NativeKernels = {
  linear: (x, weight, sizes) => withSignal(undefined, () => loadAddon().kernels.linear(x, weight, sizes)),
  rmsNorm: (x, weight, sizes) => withSignal(undefined, () => loadAddon().kernels.rmsNorm(x, weight, sizes)),
  swiglu: (gate, up) => withSignal(undefined, () => loadAddon().kernels.swiglu(gate, up)),
  logprob: (hidden, weight, targets, sizes) =>
    withSignal(undefined, () => loadAddon().kernels.logprob(hidden, weight, targets, sizes)),
};
