/** From a kind's definition to tasks: what all kinds share. */
import type { Kind, KindDefinition, WorldTask } from '../types';

/** A kind from its definition. */
export function defineKind<P>(definition: KindDefinition<P>): Kind {
  const { name, description, credit } = definition;
  const taskOf = (problem: P): WorldTask => {
    const answer = definition.solve(problem);
    const slip = definition.slip(problem);
    return {
      kind: name,
      text: definition.write(problem),
      level: definition.level(problem),
      answer,
      credit,
      slip: slip === answer ? otherAnswer(answer) : slip,
    };
  };
  return {
    name,
    description,
    parse: (text) => {
      const problem = definition.parse(text);
      return problem === null ? null : taskOf(problem);
    },
    draw: (level, random) => taskOf(definition.draw(level, random)),
  };
}

/** A wrong answer near the right one, where carelessness happens to do no harm: the next number, or an item left out. */
function otherAnswer(answer: string): string {
  if (/^\d+$/.test(answer)) return String(BigInt(answer) + 1n);
  if (answer === 'yes' || answer === 'no') return answer === 'yes' ? 'no' : 'yes';
  if (answer === 'true' || answer === 'false') return answer === 'true' ? 'false' : 'true';
  const items = answer.split(' ');
  return items.length > 1 ? items.slice(0, -1).join(' ') : `${answer} ${answer}`;
}
