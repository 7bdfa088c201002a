/** GRPO: training on queries of a data set. */
export { GrpoTrainer, type GrpoTrainerOptions } from './grpo-trainer';
export type { GrpoQuery } from './queries';
