/** A server of `/v1/chat/completions` on this machine that a test tells what to say, and what to do wrong. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedCall {
  body: {
    model: string;
    messages: { role: string; content: string }[];
    temperature?: number;
    max_tokens?: number;
    logprobs?: boolean;
    top_logprobs?: number;
    seed?: number;
    [field: string]: unknown;
  };
  headers: IncomingMessage['headers'];
  url: string;
  /** Counted from 0. */
  index: number;
  /** performance.now() at its arrival. */
  atMs: number;
}

export type Reaction = (call: ReceivedCall, response: ServerResponse) => void | Promise<void>;

export interface ChatServer {
  readonly baseUrl: string;
  readonly calls: ReceivedCall[];
  /** Most calls that were open at the same time. */
  mostOpen: number;
  /** Connections that the other side closed before the reply was whole. */
  cut: number;
  react: Reaction;
  close(): Promise<void>;
}

export async function startChatServer(react: Reaction): Promise<ChatServer> {
  let open = 0;
  const http: Server = createServer((request, response) => {
    open += 1;
    server.mostOpen = Math.max(server.mostOpen, open);
    response.on('close', () => {
      open -= 1;
      if (!response.writableFinished) server.cut += 1;
    });
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const call: ReceivedCall = {
        body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as ReceivedCall['body'],
        headers: request.headers,
        url: `${request.method ?? ''} ${request.url ?? ''}`,
        index: server.calls.length,
        atMs: performance.now(),
      };
      server.calls.push(call);
      void server.react(call, response);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: ChatServer = {
    baseUrl: `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1`,
    calls: [],
    mostOpen: 0,
    cut: 0,
    react,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return server;
}

/** A reply in the protocol's form; `top` are the alternatives of its one token, as probabilities. */
export function completion(text: string, top?: Readonly<Record<string, number>>): Record<string, unknown> {
  const token = (word: string, p: number) => ({ token: word, logprob: Math.log(p), bytes: null });
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: text },
        finish_reason: 'stop',
        ...(top && {
          logprobs: {
            content: [
              {
                ...token(text, top[text]!),
                top_logprobs: Object.entries(top).map(([word, p]) => token(word, p)),
              },
            ],
          },
        }),
      },
    ],
    usage: { prompt_tokens: 10, completion_tokens: 1, total_tokens: 11 },
  };
}

export function sendJson(response: ServerResponse, value: unknown, status = 200, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

/** Replies with a text. */
export const says =
  (text: string, top?: Readonly<Record<string, number>>): Reaction =>
  (_, response) =>
    sendJson(response, completion(text, top));

/** Replies with an error of the protocol. */
export const refuses =
  (status: number, message = 'no', headers = {}): Reaction =>
  (_, response) =>
    sendJson(response, { error: { message, type: 'some_error' } }, status, headers);

/** The first reactions in turn, then the last one for ever. */
export function inTurn(...reactions: [Reaction, ...Reaction[]]): Reaction {
  let next = 0;
  return (call, response) => {
    const reaction = reactions[Math.min(next, reactions.length - 1)]!;
    next += 1;
    return reaction(call, response);
  };
}
