/** What the model has learnt in each of its roles. */
import { world, type LanguageModel } from 'lsp';

/** Tasks of each kind and level. */
const PER_CELL = 8;

export async function report(model: LanguageModel): Promise<void> {
  const tasks = world.heldOutTasks({ perCell: PER_CELL });
  const greedy = await world.evaluateWorld(model, { tasks, temperature: 0 });
  const sampled = await world.evaluateWorld(model, { tasks, samples: 16 });
  const beyond = await world.evaluateWorld(model, {
    tasks: world.heldOutTasks({ levels: [5, 6], perCell: PER_CELL }),
  });
  const judge = await world.measureWorldJudge(world.worldJudge(model), { tasks });
  console.log(`
Solver, on ${tasks.length} held-out tasks of levels 1 to 4
  greedy         ${percent(greedy.accuracy)}
  temperature 1  ${percent(sampled.accuracy)}
  pass@16        ${percent(sampled.passAtK)}
  levels 5 and 6 ${percent(beyond.accuracy)} (temperature 1)
Judge: AUC ${judge.auc.toFixed(3)} (right answers against careless ones; 0.5 is a coin)

                greedy   temperature 1`);
  const rows = [
    ...greedy.byKind,
    ...greedy.byLevel.map((level) => ({ ...level, name: `level ${level.name}` })),
  ];
  const other = [...sampled.byKind, ...sampled.byLevel];
  rows.forEach(({ name, score }, i) => {
    console.log(`${name.padEnd(14)}${percent(score).padStart(8)}${percent(other[i]!.score).padStart(16)}`);
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
