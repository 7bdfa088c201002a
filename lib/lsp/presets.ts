/** Presets: sets of values to spread into `new LspTrainer({ … })`. Compare them honestly; see docs/log.md. */
import type { KlOptions } from '../learn/losses';
import { expectOneOf } from '../options';
import { defaultGate, openGate } from './gates';
import { lsp, lspZero, recommended } from './objectives';
import type { SelfRewardOptions } from './self-reward';
import type { Gate, Objective } from './types';

export interface Preset {
  objective: Objective;
  gate: Gate;
  kl: KlOptions;
  selfReward?: SelfRewardOptions;
}

export type PresetName = 'paper' | 'zero' | 'recommended';

export const PRESET_NAMES: readonly PresetName[] = ['paper', 'zero', 'recommended'];

const PRESETS: Record<PresetName, () => Preset> = {
  /** LSP as published: minimax plus quality. No gate but parsing. */
  paper: () => ({ objective: lsp(), gate: openGate, kl: { form: 'k2', coefficient: 0.05 }, selfReward: {} }),
  /** LSP-Zero as published: pure minimax. */
  zero: () => ({ objective: lspZero(), gate: openGate, kl: { form: 'k2', coefficient: 0.05 } }),
  /** Pays the Challenger for tasks that the Solver sometimes solves, gates strictly, charges for duplicates. */
  recommended: () => ({
    objective: recommended(),
    gate: defaultGate(),
    kl: { form: 'k2', coefficient: 0.05 },
    selfReward: {},
  }),
};

/**
 * The values of a preset.
 * @throws LspError INVALID_ARGUMENT for an unknown name
 */
export function preset(name: PresetName): Preset {
  return PRESETS[expectOneOf('preset', name, PRESET_NAMES)]();
}
