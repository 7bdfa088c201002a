import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { Commands } from '../../lib/cli/chat/commands';
import { type ChatModel, Conversation } from '../../lib/cli/chat/conversation';
import { chatAtTerminal } from '../../lib/cli/chat/session';
import { Output } from '../../lib/cli/output';
import { LspError } from '../../lib/errors';
import type { ChatMessage } from '../../lib/model/types';
import { writeTinyModel } from '../support/tiny-model';
import { launch, lsp, values } from './support';

let root: string;
let model: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lsp-chat-'));
  model = writeTinyModel(join(root, 'model'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const base = (from = model) => ['chat', '--model', from, '--max-new-tokens', '12', '--seed', '3'];

describe('from a pipe', () => {
  test('every line that is not blank is a message, and an answer is said in the light of what was before', async () => {
    const two = await lsp([...base(), '--json'], { stdin: 'Hello\n\n  \nHello\r\n' });
    expect(two).toMatchObject({ code: 0 });
    const answers = values(two.stdout);
    expect(answers).toHaveLength(2);
    for (const { role, content, tokens, finishReason, forgotten } of answers) {
      expect({ role, finishReason, forgotten }).toEqual({
        role: 'assistant',
        finishReason: 'length',
        forgotten: 0,
      });
      expect(content).toEqual(expect.any(String));
      expect(tokens).toHaveLength(12);
    }
    expect(answers[1]!['promptTokens']).toBeGreaterThan(answers[0]!['promptTokens'] as number);
    // The same seed and messages give the same answers, streamed too; a model's control characters do not come out.
    const streamed = await lsp(base(), { stdin: 'Hello\nHello' });
    const plain = answers.map(({ content }) => `${String(content).replace(/[^\P{Cc}\n\t]/gu, '')}\n`);
    expect(streamed.stdout).toBe(plain.join(''));
    expect(streamed.stderr).toContain('[cut after 12 tokens: --max-new-tokens allows more]');
  });

  test('the system message goes before, the temperature is heard', async () => {
    const promptTokens = async (...more: string[]) => {
      const { stdout } = await lsp([...base(), '--json', ...more], { stdin: 'Hello' });
      return values(stdout)[0]!;
    };
    const [plain, system, greedy] = [
      await promptTokens(),
      await promptTokens('--system', 'Be brief.'),
      await promptTokens('--temperature', '0'),
    ];
    expect(system['promptTokens']).toBeGreaterThan(plain['promptTokens'] as number);
    expect(greedy['tokens']).not.toEqual(plain['tokens']);
    expect((await promptTokens('--temperature', '0', '--seed', '4'))['tokens']).toEqual(greedy['tokens']);
  });

  test('what begins with a slash is a message too: a pipe writes no files', async () => {
    const target = join(root, 'stolen.json');
    const { code, stdout } = await lsp([...base(), '--json'], { stdin: `/save ${target}\n` });
    expect(code).toBe(0);
    expect(values(stdout)).toHaveLength(1);
    expect(existsSync(target)).toBe(false);
  });

  test('a full context forgets the oldest turns; a message that is too long for it is refused alone', async () => {
    const small = writeTinyModel(join(root, 'small'), { maxPositions: 128 });
    const lines = ['one one one', 'two two two', 'three three', 'x'.repeat(200), 'four', 'five'];
    const { code, stdout, stderr } = await lsp([...base(small), '--json', '--system', 'Brief.'], {
      stdin: lines.join('\n'),
    });
    expect(code).toBe(1);
    const turns = values(stdout);
    expect(turns).toHaveLength(lines.length);
    expect(turns[3]).toEqual({ error: expect.objectContaining({ code: 'PROMPT_TOO_LONG' }) });
    const forgotten = turns.reduce((sum, turn) => sum + ((turn['forgotten'] as number | undefined) ?? 0), 0);
    expect(forgotten).toBeGreaterThan(0);
    expect(forgotten % 2).toBe(0);
    for (const turn of turns)
      if (!('error' in turn)) expect(turn['promptTokens']).toBeLessThanOrEqual(128 - 12);
    expect(stderr).toContain('no longer fit into the context: forgotten]');
    expect(stderr).toContain('Expected fewer than 128 tokens');
  });

  test('Ctrl-C ends it', async () => {
    const args = ['chat', '--model', model, '--max-new-tokens', '400'];
    const long = launch(args, { stdin: 'Hello\n'.repeat(2000) });
    await long.seen('cut after');
    long.child.kill('SIGINT');
    expect((await long.finished).code).toBe(130);
  });
});

describe('is refused', () => {
  test('by a model without a chat template, before anything is read', async () => {
    const mute = writeTinyModel(join(root, 'mute'));
    const path = join(mute, 'tokenizer_config.json');
    const { chat_template: _, ...rest } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify(rest));
    const { code, stdout, stderr } = await lsp(base(mute), { stdin: 'Hello' });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('Expected a model with a chat template but this one has none.');
  });

  test.each([
    ['--top-p', '1.5', /`--top-p`.*1\.5/],
    ['--top-k', '999999999', /`--top-k`/],
    ['--temperature', '-1', /`--temperature`/],
    ['--max-new-tokens', '999999', /`--max-new-tokens`/],
    ['--seed', '0.5', /`--seed`/],
    ['--threads', '0', /`--threads`/],
  ])('%s %s: a usage error', async (flag, value, message) => {
    const { code, stderr } = await lsp(['chat', '--model', model, flag, value], { stdin: 'x' });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) as string });
  });
});

/**
 * A model that answers with what it was asked, a word at a time, in a context of so many characters. Before "slowly" it
 * waits to be stopped, before "pause" a moment.
 */
function echo(maxPositions = 1000): ChatModel & { shown: ChatMessage[][]; streams: unknown[] } {
  const shown: ChatMessage[][] = [];
  const streams: unknown[] = [];
  let given: readonly ChatMessage[] = [];
  return {
    shown,
    streams,
    config: { maxPositions },
    tokenizer: {
      encodeChat(messages) {
        given = messages;
        return new Int32Array(messages.reduce((sum, { content }) => sum + content.length, 0));
      },
    },
    async *stream(_, options) {
      const messages = [...given];
      shown.push(messages);
      streams.push(options?.streamIds);
      const text = messages.at(-1)!.content;
      for (const piece of text.split(/(?<= )/)) {
        if (piece.startsWith('slowly')) {
          await new Promise((resolve) => options!.signal!.addEventListener('abort', resolve, { once: true }));
        }
        if (piece === 'pause') await new Promise((resolve) => setTimeout(resolve, 300));
        options?.signal?.throwIfAborted();
        yield piece;
      }
      const none = new Float32Array(0);
      const tokens = Int32Array.of(1);
      return { text, tokens, logprobs: none, entropies: none, finishReason: 'eos', policyVersion: 0 };
    },
  };
}

const SAMPLING = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 10, seed: 0 };

/** A chat at a terminal that is typed on by the test. */
function sit(chatModel: ChatModel, system?: string) {
  let text = '';
  const listeners = new Set<() => void>();
  const stream = () =>
    new Writable({
      write(chunk: Buffer, _, done) {
        text += chunk.toString();
        for (const listener of [...listeners]) listener();
        done();
      },
    });
  const input = new PassThrough();
  const [stdout, stderr] = [stream(), stream()];
  const output = new Output({ json: false, streams: { stdout, stderr } });
  const conversation = new Conversation(chatModel, SAMPLING, system);
  const ending = new AbortController();
  const commands = new Commands(conversation, output, { model: 'echo' });
  const parts = { conversation, output, signal: ending.signal };
  const done = chatAtTerminal(parts, commands, { input, screen: stdout });
  /** Waits until the text stands on the screen, and takes what stands there. */
  const seen = (wanted: string) =>
    new Promise<string>((resolve) => {
      const check = () => {
        if (!text.includes(wanted)) return;
        listeners.delete(check);
        resolve(text);
        text = '';
      };
      listeners.add(check);
      check();
    });
  const type = (keys: string) => void input.write(keys);
  return { conversation, done, ending, seen, type };
}

/** What the line editor writes when it has drawn the empty prompt. */
const PROMPT = '> \u001b[3G';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

describe('at a terminal', () => {
  test('a conversation, until Ctrl-D', async () => {
    const chatModel = echo();
    const { conversation, done, seen, type } = sit(chatModel, 'Be brief.');
    await seen(PROMPT);
    type('Good morning\r');
    expect(await seen(PROMPT)).toContain('Good morning\n');
    type('And now?\r');
    await seen(PROMPT);
    type(CTRL_D);
    await done;
    expect(chatModel.shown[1]).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Good morning' },
      { role: 'assistant', content: 'Good morning' },
      { role: 'user', content: 'And now?' },
    ]);
    expect(conversation.messages).toHaveLength(5);
    expect(chatModel.streams).toEqual([[[0]], [[1]]]);
  });

  test('Ctrl-C stops an answer and keeps what came of it; where nothing is typed it leaves', async () => {
    const chatModel = echo();
    const { conversation, done, seen, type } = sit(chatModel);
    await seen(PROMPT);
    type('Tell me slowly please\r');
    await seen('\r\nTell me '); // not what was typed: the answer
    type('typed ahead');
    type(CTRL_C);
    expect(await seen(PROMPT)).toContain('[stopped]');
    type('slowly\r');
    while (chatModel.shown.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    type(CTRL_C);
    expect(await seen(PROMPT)).toContain('the message counts as not sent');
    type('half a line');
    await seen('half a line');
    type(CTRL_C);
    await seen(PROMPT);
    type(CTRL_C);
    await done;
    expect(conversation.messages).toEqual([
      { role: 'user', content: 'Tell me slowly please' },
      { role: 'assistant', content: 'Tell me ' },
    ]);
  });

  test('a text that is pasted is one message, also without a line break at its end', async () => {
    const { conversation, done, seen, type } = sit(echo());
    await seen(PROMPT);
    type('/**\n * A remark.\n */\n');
    await seen(PROMPT);
    type('first\nsecond\nthird');
    await seen('third');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(conversation.messages).toHaveLength(2);
    type(' and more\r');
    await seen(PROMPT);
    type(CTRL_D);
    await done;
    const questions = conversation.messages.filter(({ role }) => role === 'user');
    expect(questions.map(({ content }) => content)).toEqual([
      '/**\n * A remark.\n */',
      'first\nsecond\nthird and more',
    ]);
  });

  test('what is typed while an answer streams waits for the next prompt, or goes with Ctrl-C', async () => {
    const { conversation, done, seen, type } = sit(echo());
    await seen(PROMPT);
    type('one pause\r');
    await seen('\r\none ');
    type('two\r');
    // The whole answer first, then what was typed, as if it had been typed then.
    expect(await seen('two\ntwo\n')).toBe('pause\n> two\ntwo\n');
    await seen(PROMPT);
    type('three slowly\r');
    await seen('\r\nthree ');
    type('four');
    type(CTRL_C);
    expect(await seen(PROMPT)).not.toContain('four');
    type('five\r');
    await seen('\r\nfive');
    await seen(PROMPT);
    type(CTRL_D);
    await done;
    const said = conversation.messages.map(({ content }) => content);
    expect(said).toEqual(['one pause', 'one pause', 'two', 'two', 'three slowly', 'three ', 'five', 'five']);
  });

  test('commands', async () => {
    const chatModel = echo();
    const { conversation, done, seen, type } = sit(chatModel, 'Be brief.');
    await seen(PROMPT);
    const enter = async (line: string) => {
      type(`${line}\r`);
      return seen(PROMPT);
    };
    expect(await enter('/help')).toContain('/save <file>');
    expect(await enter('/sytsem x')).toContain('received "/sytsem". Did you mean /system?');
    await enter('Hello');
    const path = join(root, 'saved.json');
    expect(await enter(`/save ${path}`)).toContain('3 messages are in');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      model: 'echo',
      messages: conversation.messages,
    });
    await enter('Hello again');
    expect(await enter(`/save ${path}`)).toContain('5 messages are in'); // its own file is replaced
    writeFileSync(join(root, 'thesis.tex'), 'mine');
    expect(await enter(`/save ${join(root, 'thesis.tex')}`)).toContain('received EEXIST');
    expect(readFileSync(join(root, 'thesis.tex'), 'utf8')).toBe('mine');
    expect(await enter('/save')).toContain('Expected a file for `/save`');
    await enter('/system Rhyme.');
    await enter('/reset');
    await enter('And now?');
    expect(chatModel.shown.at(-1)).toEqual([
      { role: 'system', content: 'Rhyme.' },
      { role: 'user', content: 'And now?' },
    ]);
    await enter('/system');
    await enter(' /reset is a command'); // a space before it: a message
    expect(chatModel.shown.at(-1)!.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    type('/exit\r');
    await done;
  });

  test('a message that fails leaves the conversation as it was', async () => {
    const { conversation, done, seen, type } = sit(echo(100));
    await seen(PROMPT);
    type(`${'x'.repeat(100)}\r`);
    expect(await seen(PROMPT)).toContain('Expected fewer than 100 tokens');
    expect(conversation.messages).toEqual([]);
    type('short\r');
    await seen(PROMPT);
    expect(conversation.messages).toHaveLength(2);
    type(CTRL_D);
    await done;
  });

  test('an abort from outside ends it, at the prompt and within an answer', async () => {
    const reason = new Error('enough');
    const waiting = sit(echo());
    await waiting.seen(PROMPT);
    waiting.ending.abort(reason);
    await expect(waiting.done).rejects.toBe(reason);
    const answering = sit(echo());
    await answering.seen(PROMPT);
    answering.type('now slowly\r');
    await answering.seen('\r\nnow ');
    answering.ending.abort(reason);
    await expect(answering.done).rejects.toBe(reason);
  });
});

describe('a conversation', () => {
  const listener = { onPiece: () => undefined, onForget: () => undefined };
  const never = new AbortController().signal;

  test('forgets for good, turn by turn, never the system message', async () => {
    const chatModel = echo(60);
    const conversation = new Conversation(chatModel, SAMPLING, 'S'.repeat(10));
    const forgotten: number[] = [];
    for (const letter of ['a', 'b', 'c', 'd']) {
      forgotten.push((await conversation.ask(letter.repeat(10), listener, never)).forgotten);
    }
    // 10 of the system message and 10 for the answer leave room for one turn of 20 and the next question.
    expect(forgotten).toEqual([0, 0, 2, 2]);
    for (const messages of chatModel.shown) expect(messages[0]!.role).toBe('system');
    expect(chatModel.shown.at(-1)!.map(({ content }) => content[0])).toEqual(['S', 'c', 'c', 'd']);
    expect(conversation.messages).toHaveLength(9); // what was said is still what is saved
  });

  test('a system message that the template refuses changes nothing', () => {
    const chatModel = echo();
    const strict: ChatModel = {
      ...chatModel,
      tokenizer: {
        encodeChat(messages) {
          if (messages.some(({ content }) => content === 'bad')) {
            throw new LspError('INVALID_CHAT_TEMPLATE', 'no such role');
          }
          return chatModel.tokenizer.encodeChat(messages);
        },
      },
    };
    const conversation = new Conversation(strict, SAMPLING, 'good');
    expect(() => conversation.setSystem('bad')).toThrow('no such role');
    expect(conversation.messages).toEqual([{ role: 'system', content: 'good' }]);
    expect(() => new Conversation(strict, SAMPLING, 'bad')).toThrow('no such role');
  });
});
