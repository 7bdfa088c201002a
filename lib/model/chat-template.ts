/** Chat templates: Jinja source from a model file, compiled once, rendered synchronously within bounds. */
import { LspError } from '../errors';
import { describe } from '../options';
import { parseTemplate, renderTemplate, TEMPLATE_SAYS } from './bounded-jinja';
import type { ChatMessage } from './types';

/** Roles are written by templates next to special tokens, so they must be plain words. */
const ROLE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export interface RenderOptions {
  addGenerationPrompt: boolean;
}

export class ChatTemplate {
  readonly #program: ReturnType<typeof parseTemplate>;

  /**
   * @param source Jinja
   * @param tokens texts of special tokens that templates may write
   * @throws LspError INVALID_CHAT_TEMPLATE if it does not parse
   */
  constructor(
    readonly source: string,
    private readonly tokens: { bos?: string; eos?: string; unk?: string; pad?: string } = {},
  ) {
    try {
      this.#program = parseTemplate(source);
    } catch (error) {
      throw invalidTemplate('a template that parses', error);
    }
  }

  /**
   * @param messages checked by `checkMessages`
   * @throws LspError INVALID_CHAT_TEMPLATE if it throws, runs too long or makes too much text
   */
  render(messages: readonly ChatMessage[], { addGenerationPrompt }: RenderOptions): string {
    const { bos, eos, unk, pad } = this.tokens;
    const inputLength = messages.reduce((sum, { role, content }) => sum + role.length + content.length, 0);
    const variables: Record<string, unknown> = {
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
      bos_token: bos ?? '',
      eos_token: eos ?? '',
      ...(unk !== undefined && { unk_token: unk }),
      ...(pad !== undefined && { pad_token: pad }),
    };
    try {
      return renderTemplate(this.#program, { variables, inputLength });
    } catch (error) {
      throw invalidTemplate('a template that renders these messages', error);
    }
  }
}

function invalidTemplate(expected: string, error: unknown): LspError {
  const timedOut = (error as { code?: unknown } | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
  const message = error instanceof Error || hasMessage(error) ? error.message : String(error);
  const refuses = message.startsWith(TEMPLATE_SAYS);
  const reason = timedOut ? 'it does not finish' : message.slice(0, 300);
  return new LspError(
    'INVALID_CHAT_TEMPLATE',
    `Expected ${expected} for \`chatTemplate\` but it failed: ${reason}.`,
    {
      remedy: refuses
        ? 'Leave out what the model does not take.'
        : 'Check the messages and their roles, or repair the chat template of the model.',
      cause: error,
    },
  );
}

/** Errors of another realm are no instances of this realm's Error. */
function hasMessage(error: unknown): error is { message: string } {
  return typeof (error as { message?: unknown } | null)?.message === 'string';
}

/**
 * Checks messages from a caller: a non-empty array of { role, content }, both strings, role a plain word.
 * @throws LspError INVALID_ARGUMENT
 */
export function checkMessages(name: string, messages: unknown): readonly ChatMessage[] {
  const fail = (where: string, expected: string, value: unknown) =>
    new LspError(
      'INVALID_ARGUMENT',
      `Expected ${expected} for \`${where}\` but received ${describe(value)}.`,
    );
  if (!Array.isArray(messages) || messages.length === 0)
    throw fail(name, 'a non-empty array of messages', messages);
  for (const [index, message] of (messages as unknown[]).entries()) {
    const where = `${name}[${index}]`;
    if (typeof message !== 'object' || message === null) throw fail(where, '{ role, content }', message);
    const { role, content } = message as Partial<ChatMessage>;
    if (typeof role !== 'string' || !ROLE.test(role)) throw fail(`${where}.role`, 'a plain word', role);
    if (typeof content !== 'string') throw fail(`${where}.content`, 'a string', content);
    const unknown = Object.keys(message).find((key) => key !== 'role' && key !== 'content');
    if (unknown !== undefined) throw fail(where, 'only `role` and `content`', unknown);
  }
  return messages as readonly ChatMessage[];
}
