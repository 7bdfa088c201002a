/** The bundled model and what came out of it: models of the tiny world, which know nothing else. */
import { BUNDLED_MODEL, openModelSource } from '../model/formats';

/** Whether a model has the chat template of the bundled one, which training leaves as it is. */
export function isOfTinyFamily(chatTemplate: string | null): boolean {
  return chatTemplate !== null && chatTemplate === openModelSource(BUNDLED_MODEL).tokenizer.chatTemplate;
}
