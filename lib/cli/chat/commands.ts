/** What can be typed in a chat that is not meant for the model. */
import { writeFile } from 'node:fs/promises';
import { LspError } from '../../errors';
import { nearestName } from '../../options';
import { prettyJson, withIoErrors } from '../../disk/files';
import type { Output } from '../output';
import type { Conversation } from './conversation';

const NAMES = ['help', 'reset', 'system', 'save', 'exit'];

export const HELP = `  /help           this list
  /reset          forget the conversation; the system message stays
  /system <text>  set the system message; without text there is none
  /save <file>    write the conversation to a new file, as JSON
  /exit           leave, as Ctrl-D does
Ctrl-C stops an answer and keeps the conversation; where nothing is typed, it leaves.
Text of several lines is pasted as one message. To send a message that begins with /, put a space before it.`;

/** Whether this is a command: one line that begins with a slash. */
export function isCommand(text: string): boolean {
  return text.startsWith('/') && !text.includes('\n');
}

export class Commands {
  /** Files that this chat wrote, which it may replace. */
  readonly #saved = new Set<string>();

  constructor(
    private readonly conversation: Conversation,
    private readonly output: Output,
    /** What a saved conversation says beside its messages. */
    private readonly facts: Readonly<Record<string, unknown>>,
  ) {}

  /**
   * Does what a command asks for.
   *
   * @returns false if the chat is to end
   * @throws LspError
   */
  async obey(text: string): Promise<boolean> {
    const [, name, argument] = /^\/(\S*)\s*(.*)$/u.exec(text.trim())!;
    switch (name) {
      case 'help':
        this.output.note(HELP);
        return true;
      case 'reset':
        this.conversation.reset();
        this.output.note('The conversation is forgotten.');
        return true;
      case 'system':
        this.conversation.setSystem(argument === '' ? undefined : argument);
        this.output.note(argument === '' ? 'There is no system message now.' : 'The system message is set.');
        return true;
      case 'save':
        await this.#save(argument!);
        return true;
      case 'exit':
        return false;
      default:
        throw unknownCommand(name!);
    }
  }

  async #save(path: string): Promise<void> {
    if (path === '') {
      throw new LspError('INVALID_ARGUMENT', 'Expected a file for `/save` but received nothing.', {
        remedy: 'For example /save conversation.json.',
      });
    }
    const content = prettyJson({ ...this.facts, messages: this.conversation.messages });
    // A slip of the finger must not cost a model or a thesis: only files of this chat are replaced.
    const flag = this.#saved.has(path) ? 'w' : 'wx';
    await withIoErrors('write a new file', path, () => writeFile(path, content, { flag }));
    this.#saved.add(path);
    this.output.note(`${this.conversation.messages.length} messages are in ${path}.`);
  }
}

function unknownCommand(name: string): LspError {
  const meant = nearestName(name, NAMES);
  return new LspError('UNKNOWN_OPTION', `Expected a known command but received "/${name}".`, {
    remedy: meant ? `Did you mean /${meant}?` : 'See /help.',
  });
}
