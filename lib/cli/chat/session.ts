/** A chat as it runs: messages from a terminal or from lines of a pipe, answers to where output goes. */
import { createInterface } from 'node:readline';
import { LspError } from '../../errors';
import { type Output, printable } from '../output';
import { Exit } from '../usage';
import { type Commands, isCommand } from './commands';
import type { Answer, Conversation } from './conversation';
import { TerminalInput } from './terminal-input';

export interface ChatParts {
  conversation: Conversation;
  output: Output;
  /** Ends the chat. */
  signal: AbortSignal;
}

/** Whether an answer that failed leaves a chat that can go on. */
function isOfOneMessage(error: unknown): error is LspError {
  return error instanceof LspError && error.code !== 'INTERNAL' && error.code !== 'DISPOSED';
}

/**
 * Every line that is not blank is a message, to the end of the input. No line is a command: where the lines come from
 * somebody else's file, `/save` would be a way to write files.
 *
 * @throws Exit with code 1 at the end if a message could not be answered, the signal's reason
 */
export async function chatFromLines(parts: ChatParts, input: NodeJS.ReadableStream): Promise<void> {
  const { output, signal } = parts;
  let failed = false;
  for await (const line of createInterface({ input, crlfDelay: Infinity, signal })) {
    if (line.trim() === '') continue;
    try {
      await answer(parts, line, signal);
    } catch (error) {
      if (!isOfOneMessage(error)) throw error;
      const { code, message, remedy } = error;
      output.value({ error: { code, message, remedy: remedy ?? null } });
      output.note(`lsp: ${message}`);
      failed = true;
    }
    signal.throwIfAborted();
  }
  signal.throwIfAborted();
  if (failed) throw new Exit(1);
}

export interface Terminal {
  input: NodeJS.ReadableStream;
  /** Where prompt and echo go. */
  screen: NodeJS.WritableStream & { columns?: number };
}

/** @throws the signal's reason */
export async function chatAtTerminal(
  parts: ChatParts,
  commands: Commands,
  terminal: Terminal,
): Promise<void> {
  const { output, signal } = parts;
  let stopping = new AbortController();
  const onInterrupt = () => stopping.abort(new DOMException('The answer was stopped.', 'AbortError'));
  const keyboard = new TerminalInput({ input: terminal.input, output: terminal.screen, onInterrupt });
  try {
    for (;;) {
      const text = await keyboard.read(output.bold('> '), signal);
      signal.throwIfAborted();
      if (text === null) return;
      if (text.trim() === '') continue;
      try {
        if (isCommand(text)) {
          if (await commands.obey(text)) continue;
          return;
        }
        stopping = new AbortController();
        await answer(parts, text, AbortSignal.any([signal, stopping.signal]));
      } catch (error) {
        if (!isOfOneMessage(error)) throw error;
        output.note(`lsp: ${error.message}`);
      }
      signal.throwIfAborted();
    }
  } finally {
    keyboard.close();
  }
}

async function answer({ conversation, output }: ChatParts, text: string, signal: AbortSignal): Promise<void> {
  const onPiece = (piece: string) => {
    if (!output.json) output.raw(printable(piece));
  };
  const onForget = (messages: number) =>
    output.note(output.dim(`[the oldest ${messages} messages no longer fit into the context: forgotten]`));
  let given: Answer;
  try {
    given = await conversation.ask(text, { onPiece, onForget }, signal);
  } finally {
    if (!output.json) output.raw('\n'); // also under what a failure left unfinished
  }
  output.value(given);
  const remark = remarkOn(given, conversation.contextTokens);
  if (remark !== '') output.note(output.dim(`[${remark}]`));
}

function remarkOn({ finishReason, content, tokens, promptTokens }: Answer, contextTokens: number): string {
  if (finishReason === 'interrupted') {
    return content === '' ? 'stopped before a word: the message counts as not sent' : 'stopped';
  }
  if (finishReason === 'length') {
    const count = tokens!.length;
    return promptTokens + count >= contextTokens
      ? `cut after ${count} tokens: the context is full`
      : `cut after ${count} tokens: --max-new-tokens allows more`;
  }
  return content.trim() === '' ? 'the answer is empty' : '';
}
