import type { Sample } from '../../lib/rewards/reward';

/** A sample with the given answer and as little else as possible. */
export function sampleOf(answer: string, fields: Partial<Sample> = {}): Sample {
  const none = new Float32Array(0);
  return {
    query: 'Write something.',
    messages: [{ role: 'user', content: 'Write something.' }],
    answer,
    completion: {
      text: answer,
      tokens: new Int32Array(0),
      logprobs: none,
      entropies: none,
      finishReason: 'eos',
      policyVersion: 0,
    },
    info: {},
    index: 0,
    queryIndex: 0,
    answerIndex: 0,
    ...fields,
  };
}
