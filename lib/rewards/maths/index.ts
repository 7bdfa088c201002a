/** Answers to maths questions: found in a text, compared, and arithmetic that gives them. */
export { answersEqual, canonicalAnswer, type CanonicalOptions } from './canonical';
export { evaluateExpression, type Expression, type Rational } from './expression';
export { ANSWER_PLACES, extractAnswer, type AnswerPlace, type ExtractOptions } from './extract';
