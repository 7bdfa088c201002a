/** Presets: sets of values to spread into `new LspTrainer({ … })`. Compare them honestly; see docs/log.md. */
import type { KlOptions } from '../learn/losses';
import { expectOneOf } from '../options';
import { defaultGate, openGate } from './gates';
import { lsp, lspZero, recommended, type QualityOptions } from './objectives';
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

const PRESETS: Record<PresetName, (quality: QualityOptions) => Preset> = {
  /** LSP as published: minimax plus quality. No gate but parsing. */
  paper: (quality) => ({
    objective: lsp(quality),
    gate: openGate,
    kl: { form: 'k2', coefficient: 0.05 },
    selfReward: {},
  }),
  /** LSP-Zero as published: pure minimax. */
  zero: ({ groupAdvantages }) => ({
    objective: lspZero({ groupAdvantages }),
    gate: openGate,
    kl: { form: 'k2', coefficient: 0.05 },
  }),
  /** Pays the Challenger for tasks that the Solver sometimes solves, gates strictly, charges for duplicates. */
  recommended: (quality) => ({
    objective: recommended(quality),
    gate: defaultGate(),
    kl: { form: 'k2', coefficient: 0.05 },
    selfReward: {},
  }),
};

/**
 * The values of a preset. `zero` has no quality term, whatever its weight.
 * @throws LspError INVALID_ARGUMENT for an unknown name
 */
export function preset(name: PresetName, quality: QualityOptions = {}): Preset {
  return PRESETS[expectOneOf('preset', name, PRESET_NAMES)](quality);
}
