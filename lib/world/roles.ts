/**
 * What a model is told in each of its three roles in the tiny world. The bundled model was pre-trained on exactly
 * these words.
 */
import type { ChatMessage } from '../model/types';

/** Points of the judge's scale: 0 to 7, as the rubric of Language Self-Play has. */
export const MOST_POINTS = 7;

const ask = (content: string): ChatMessage[] => [{ role: 'user', content }];

/** @param kind what the task is to be about; null leaves it open */
export function challengerMessages(kind: string | null): ChatMessage[] {
  return ask(kind === null ? 'Write a task' : `Write a task: ${kind}`);
}

export function solverMessages(text: string): ChatMessage[] {
  return ask(text);
}

export function judgeMessages(text: string, answer: string): ChatMessage[] {
  return ask(`Points from 0 to ${MOST_POINTS} for: ${text} Answer: ${answer}`);
}
