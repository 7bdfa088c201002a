/**
 * A small hub: the questions of `@huggingface/hub` answered over HTTP on this machine, large files on a second server (the
 * "CDN") behind a redirect, and whatever may go wrong on the way.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Files of this size and more lie on the CDN, named by their SHA-256; smaller ones as git names a blob. */
const LARGE_BYTES = 512;
/** Entries of a listing on one page. */
const PAGE_SIZE = 5;

export interface FakeRepository {
  type: 'model' | 'dataset';
  id: string;
  /** Branch or tag → commit. */
  refs: Record<string, string>;
  /** Commit → path → content. */
  commits: Record<string, Record<string, Buffer>>;
  /** Given only to those who show this token. */
  token?: string;
}

export interface SeenRequest {
  server: 'hub' | 'cdn';
  method: string;
  url: string;
  range: string | undefined;
  authorization: string | undefined;
}

/** What a request meets instead of its answer: a status, or a body that is cut off after so many bytes. */
export type Fault =
  { status: number } | { cutAfterBytes: number } | { wrongBytes: true } | { ignoreRange: true };

export const commitOf = (name: string): string => createHash('sha1').update(name).digest('hex');

export class FakeHub {
  readonly repositories: FakeRepository[] = [];
  readonly seen: SeenRequest[] = [];
  /** Asked for each request; the first fault found is met. */
  fault: (request: SeenRequest) => Fault | undefined = () => undefined;
  readonly #hub = createServer((request, response) => void this.#serve('hub', request, response));
  readonly #cdn = createServer((request, response) => void this.#serve('cdn', request, response));

  static async start(): Promise<FakeHub> {
    const hub = new FakeHub();
    await Promise.all([listen(hub.#hub), listen(hub.#cdn)]);
    return hub;
  }

  get url(): string {
    return addressOf(this.#hub);
  }

  /** Requests for content, without the one byte that asks for its size. */
  get downloads(): SeenRequest[] {
    return this.seen.filter(({ url, range }) => /\/resolve\/|\/blob\//.test(url) && range !== 'bytes=0-0');
  }

  add(repository: Partial<FakeRepository> & { id: string; files: Record<string, Buffer | string> }): string {
    const { files, ...rest } = repository;
    const commit = commitOf(repository.id);
    const contents = Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]);
    this.repositories.push({
      type: 'model',
      refs: { main: commit },
      commits: { [commit]: Object.fromEntries(contents) as Record<string, Buffer> },
      ...rest,
    });
    return commit;
  }

  reset(): void {
    this.repositories.length = 0;
    this.seen.length = 0;
    this.fault = () => undefined;
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }

  async #serve(server: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body: Buffer[] = [];
    for await (const chunk of request) body.push(chunk as Buffer);
    const { range, authorization } = request.headers;
    const seen = { server, method: request.method!, url: request.url!, range, authorization };
    this.seen.push(seen);
    const fault = this.fault(seen);
    if (fault && 'status' in fault) fail(response, fault.status, 'Trouble');
    else if (server === 'cdn') this.#sendBlob(seen, fault, response);
    else if (seen.url.startsWith('/api/')) this.#answer(seen, Buffer.concat(body).toString(), response);
    else this.#sendFile(seen, fault, response);
  }

  /** What a revision is, which files are there, what some of them are. */
  #answer({ url, authorization }: SeenRequest, body: string, response: ServerResponse): void {
    const address = new URL(url, this.url);
    const pattern = /^\/api\/(model|dataset)s\/([^/]+\/[^/]+)\/(revision|tree|paths-info)\/([^/]+)$/;
    const [, type, id, question, revision] = pattern.exec(address.pathname)!;
    const found = this.#find(type!, id!, decodeURIComponent(revision!), authorization, response);
    if (!found) return;
    const entries = Object.entries(found.files).map(entryOf);
    if (question === 'revision') json(response, { _id: '1', id, sha: found.commit, lastModified: 0 });
    else if (question === 'tree') sendPage(response, entries, address);
    else {
      const { paths } = JSON.parse(body) as { paths: string[] };
      const wanted = entries.filter(({ path }) => paths.includes(path));
      json(response, wanted);
    }
  }

  #sendFile(
    { url, range, authorization }: SeenRequest,
    fault: Fault | undefined,
    response: ServerResponse,
  ): void {
    const pattern = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/;
    const [, datasets, id, revision, path] = pattern.exec(url)!;
    const type = datasets === undefined ? 'model' : 'dataset';
    const found = this.#find(type, id!, decodeURIComponent(revision!), authorization, response);
    if (!found) return;
    const content = found.files[decodeURIComponent(path!)];
    response.setHeader('X-Repo-Commit', found.commit);
    if (!content) fail(response, 404, 'EntryNotFound');
    else if (content.length < LARGE_BYTES) sendBytes(response, content, gitHash(content), range, fault);
    else {
      const hash = sha256(content);
      const Location = `${addressOf(this.#cdn)}/blob/${hash}`;
      response
        .writeHead(302, { Location, 'X-Linked-Size': content.length, 'X-Linked-ETag': `"${hash}"` })
        .end();
    }
  }

  /** Answers with the reason if there is no such revision for the asker. */
  #find(
    type: string,
    id: string,
    revision: string,
    authorization: string | undefined,
    response: ServerResponse,
  ) {
    const repository = this.repositories.find((candidate) => candidate.type === type && candidate.id === id);
    const commit = repository?.refs[revision] ?? revision;
    const files = repository?.commits[commit];
    const { token } = repository ?? {};
    // As the hub does: who is not known is not told whether there is such a repository.
    if (!repository) fail(response, 401, 'RepoNotFound');
    else if (token !== undefined && authorization !== `Bearer ${token}`) {
      fail(response, authorization === undefined ? 401 : 403, 'GatedRepo');
    } else if (!files) fail(response, 404, 'RevisionNotFound');
    else return { commit, files };
    return undefined;
  }

  #sendBlob({ url, range }: SeenRequest, fault: Fault | undefined, response: ServerResponse): void {
    const hash = url.slice('/blob/'.length);
    const contents = this.repositories.flatMap(({ commits }) =>
      Object.values(commits).flatMap((files) => Object.values(files)),
    );
    const content = contents.find((candidate) => sha256(candidate) === hash);
    if (content) sendBytes(response, content, hash, range, fault);
    else fail(response, 403, 'AccessDenied');
  }
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

export function gitHash(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

function entryOf([path, content]: [string, Buffer]) {
  const size = content.length;
  const lfs = size < LARGE_BYTES ? undefined : { oid: sha256(content), size, pointerSize: 134 };
  return { type: 'file', path, size, oid: gitHash(content), ...(lfs && { lfs }) };
}

function sendPage(response: ServerResponse, entries: readonly unknown[], url: URL): void {
  const start = Number(url.searchParams.get('cursor') ?? 0);
  if (start + PAGE_SIZE < entries.length) {
    url.searchParams.set('cursor', String(start + PAGE_SIZE));
    response.setHeader('Link', `<${url.href}>; rel="next"`);
  }
  json(response, entries.slice(start, start + PAGE_SIZE));
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

function fail(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'X-Error-Code': code });
  response.end(JSON.stringify({ error: `fake ${code}` }));
}

function sendBytes(
  response: ServerResponse,
  content: Buffer,
  hash: string,
  range: string | undefined,
  fault: Fault | undefined,
): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  const partial = first !== undefined && !(fault && 'ignoreRange' in fault);
  let part = partial ? content.subarray(Number(first), Number(last) + 1) : content;
  response.setHeader('ETag', `"${hash}"`);
  response.setHeader('Content-Length', part.length);
  if (partial) response.setHeader('Content-Range', `bytes ${first}-${last}/${content.length}`);
  response.writeHead(partial ? 206 : 200);
  if (fault && 'wrongBytes' in fault) part = Buffer.from(part.map((byte) => byte ^ 1));
  if (!fault || !('cutAfterBytes' in fault)) response.end(part);
  // The socket is closed once the bytes have left.
  else response.write(part.subarray(0, fault.cutAfterBytes), () => setTimeout(() => response.destroy(), 20));
}
