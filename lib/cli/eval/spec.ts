/** What a subcommand of `lsp eval` is: its own options, and how they become an evaluation. */
import type { Command } from 'commander';
import type { Evaluation } from '../../eval/evaluation';
import type { Output } from '../output';

/** Any evaluation: the runner and the printer need not know what its items and verdicts are. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- items and verdicts only meet their own evaluation
export type AnyEvaluation = Evaluation<any, any>;

export interface OpenedEvaluation {
  evaluation: AnyEvaluation;
  /** What judging will cost, for a judge that costs something: for programs and for people. */
  estimate?(limit: number | undefined): Promise<CostEstimate | null>;
  /** Frees what the judge holds. */
  close?(): Promise<void>;
}

export interface CostEstimate {
  value: Readonly<Record<string, unknown>>;
  text: string;
}

export interface OpenContext {
  signal: AbortSignal;
  output: Output;
  threads: number | undefined;
}

export interface EvaluationCommand {
  readonly name: string;
  readonly description: string;
  /** Adds the options that only this evaluation has. */
  options(command: Command): Command;
  /** Reads the data and prepares the judge. `flags` holds the options above. */
  open(flags: Readonly<Record<string, unknown>>, context: OpenContext): Promise<OpenedEvaluation>;
}
