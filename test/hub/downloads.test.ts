/** Files of the hub: data sets, interruptions of every kind, permissions, failures, and where the cache is. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type DownloadProgress, hubFile, openDataset, readRows, resolveModelSource } from '../../lib';
import { expectError, rejectionOf } from '../support/errors';
import { commitOf, sha256 } from '../support/fake-hub';
import { modelFiles, noise, snapshotIn, useHub } from './support';

const fixture = useHub();

const DATASET = { type: 'dataset', repo: 'org/data', path: 'main/test.jsonl' } as const;

const snapshotOf = (commit: string) => snapshotIn(fixture.cache, 'dataset', 'org/data', commit);

function addDataset(content: Buffer | string): string {
  return fixture.hub.add({
    type: 'dataset',
    id: 'org/data',
    files: { 'main/test.jsonl': content, 'README.md': 'x' },
  });
}

describe('a data set', () => {
  test('is a file of the hub, or the one that is given', async () => {
    const commit = addDataset('{"a": 1}\n{"a": 2}\n');
    const path = await openDataset(undefined, DATASET);
    expect(path).toBe(join(snapshotOf(commit), 'main/test.jsonl'));
    expect(await readRows(path)).toEqual([{ a: 1 }, { a: 2 }]);
    fixture.hub.seen.length = 0;
    expect(await openDataset(undefined, DATASET)).toBe(path);
    expect(await openDataset(path, { ...DATASET, repo: 'nobody/nothing' })).toBe(path);
    expect(fixture.hub.seen).toEqual([]);
    expectError(
      await rejectionOf(openDataset(join(fixture.root, 'no.jsonl'), DATASET)),
      'IO_ERROR',
      /no\.jsonl: ENOENT/,
    );
    expectError(await rejectionOf(openDataset(fixture.root, DATASET)), 'INVALID_ARGUMENT', /is none/);
    expectError(
      await rejectionOf(openDataset(undefined, DATASET, { x: 1 } as never)),
      'UNKNOWN_OPTION',
      /"x"/,
    );
  });

  test('that is not there', async () => {
    addDataset('{}');
    const file = await rejectionOf(hubFile({ ...DATASET, path: 'main/train.jsonl' }));
    expectError(file, 'HUB_REFUSED', /dataset org\/data .*no file main\/train\.jsonl there/);
    const repository = await rejectionOf(hubFile({ ...DATASET, repo: 'org/nothing' }));
    expectError(repository, 'HUB_REFUSED', /no permission \(status 401\)/);
    expect(repository.message).toContain('`hf download org/nothing --repo-type dataset`');
  });

  test.each([
    [{ ...DATASET, repo: 'data' }, /`repo`/],
    [{ ...DATASET, repo: '../../etc/x' }, /`repo`/],
    [{ ...DATASET, path: '../../x' }, /`path`/],
    [{ ...DATASET, path: '/etc/passwd' }, /`path`/],
    [{ ...DATASET, revision: '../main' }, /`revision`/],
    [{ ...DATASET, type: 'space' }, /`type`/],
    [undefined, /`file`/],
  ])('%j is refused', async (file, message) => {
    expectError(await rejectionOf(hubFile(file as never)), 'INVALID_ARGUMENT', message);
    expect(fixture.hub.seen).toEqual([]);
  });
});

describe('an interrupted download', () => {
  const content = noise(300_000, 3);
  const file = DATASET;
  const blobs = () => readdirSync(join(fixture.cache, 'datasets--org--data/blobs'));
  const isDownload = ({ server, range }: { server: string; range: string | undefined }) =>
    server === 'cdn' && range !== 'bytes=0-0';
  const resolved = () => snapshotOf(commitOf('org/data'));

  test('goes on where it was cut, and does not look complete before', async () => {
    addDataset(content);
    fixture.hub.fault = (request) => (isDownload(request) ? { cutAfterBytes: 200_000 } : undefined);
    expectError(await rejectionOf(hubFile(file)), 'HUB_UNAVAILABLE', /no whole answer from/);
    expect(existsSync(join(resolved(), file.path))).toBe(false);
    const [incomplete] = blobs();
    expect(incomplete).toBe(`${sha256(content)}.incomplete`);
    const size = statSync(join(fixture.cache, 'datasets--org--data/blobs', incomplete!)).size;
    expect(size).toBeGreaterThan(0);
    fixture.hub.fault = () => undefined;
    fixture.hub.seen.length = 0;
    const progress: DownloadProgress[] = [];
    const path = await hubFile(file, { onProgress: (step) => progress.push(step) });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(blobs()).toEqual([sha256(content)]);
    expect(fixture.hub.downloads.filter(isDownload).map(({ range }) => range)).toEqual([
      `bytes=${size}-299999`,
    ]);
    expect(progress[0]).toEqual({ file: file.path, downloadedBytes: size, totalBytes: 300_000 });
    expect(progress.at(-1)).toEqual({ file: file.path, downloadedBytes: 300_000, totalBytes: 300_000 });
  });

  test.each([
    ['other bytes', (path: string) => writeFileSync(path, noise(100_000, 4))],
    ['too many bytes', (path: string) => writeFileSync(path, noise(400_000, 4))],
    ['zeros after a power cut', (path: string) => truncateSync(path, 250_000)],
  ])('whose rest has become useless (%s) starts again', async (_, spoil) => {
    addDataset(content);
    fixture.hub.fault = (request) => (isDownload(request) ? { cutAfterBytes: 100_000 } : undefined);
    await rejectionOf(hubFile(file));
    fixture.hub.fault = () => undefined;
    spoil(join(fixture.cache, 'datasets--org--data/blobs', `${sha256(content)}.incomplete`));
    expect(readFileSync(await hubFile(file)).equals(content)).toBe(true);
    expect(blobs()).toEqual([sha256(content)]);
  });

  test('starts again with a server that knows no ranges', async () => {
    addDataset(content);
    fixture.hub.fault = (request) => (isDownload(request) ? { cutAfterBytes: 100_000 } : undefined);
    await rejectionOf(hubFile(file));
    fixture.hub.fault = (request) => (isDownload(request) ? { ignoreRange: true } : undefined);
    expect(readFileSync(await hubFile(file)).equals(content)).toBe(true);
  });

  test('that brings other bytes leaves nothing', async () => {
    addDataset(content);
    fixture.hub.fault = (request) => (isDownload(request) ? { wrongBytes: true } : undefined);
    expectError(await rejectionOf(hubFile(file)), 'HUB_UNAVAILABLE', /other bytes than the hub's own hash/);
    expect(blobs()).toEqual([]);
    expect(existsSync(join(resolved(), file.path))).toBe(false);
  });

  test('by a signal rejects with its reason, and goes on later', async () => {
    addDataset(content);
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = ({ downloadedBytes }: DownloadProgress) => {
      if (downloadedBytes > 0) controller.abort(reason);
    };
    await expect(hubFile(file, { signal: controller.signal, onProgress })).rejects.toBe(reason);
    await expect(hubFile(file, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(existsSync(join(resolved(), file.path))).toBe(false);
    expect(readFileSync(await hubFile(file)).equals(content)).toBe(true);
  });

  test('by an exception of the progress callback is that exception', async () => {
    addDataset(content);
    const mistake = new Error('mine');
    const onProgress = () => {
      throw mistake;
    };
    await expect(hubFile(file, { onProgress })).rejects.toBe(mistake);
  });

  test('of two at once is one file', async () => {
    addDataset(content);
    const paths = await Promise.all([hubFile(file), hubFile(file), hubFile(file)]);
    expect(new Set(paths).size).toBe(1);
    expect(readFileSync(paths[0]).equals(content)).toBe(true);
    expect(blobs()).toEqual([sha256(content)]);
    expect(readdirSync(join(resolved(), 'main'))).toEqual(['test.jsonl']);
  });

  test('a link without its content is mended', async () => {
    addDataset(content);
    mkdirSync(join(resolved(), 'main'), { recursive: true });
    symlinkSync('../../../blobs/gone', join(resolved(), file.path));
    const path = await hubFile(file);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(basename(readlinkSync(path))).toBe(sha256(content));
  });
});

describe('permission', () => {
  test('is asked for with the token of the environment or of the login, which the CDN does not see', async () => {
    fixture.hub.add({ id: 'org/gated', files: modelFiles(fixture.root), token: 'hf_right' });
    const none = await rejectionOf(resolveModelSource('org/gated'));
    expectError(
      none,
      'HUB_REFUSED',
      /no permission \(status 401\)\. If the name is right, accept the licence of org\/gated/,
    );
    process.env['HF_TOKEN'] = 'hf_wrong';
    const wrong = await rejectionOf(resolveModelSource('org/gated'));
    expectError(wrong, 'HUB_REFUSED', /status 403.*HF_TOKEN/);
    expect(wrong.message).not.toContain('hf_wrong');
    delete process.env['HF_TOKEN'];
    writeFileSync(join(process.env['HF_HOME']!, 'token'), 'hf_right\n');
    await resolveModelSource('org/gated');
    const cdn = fixture.hub.seen.filter(({ server }) => server === 'cdn');
    expect(cdn.length).toBeGreaterThan(0);
    expect(cdn.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  test.each(['secret', 'hf_two words', 'hf_gr\u00fcn'])(
    'a token that is none (%s) is refused and not shown',
    async (token) => {
      process.env['HF_TOKEN'] = token;
      const error = await rejectionOf(resolveModelSource('org/gated'));
      expectError(error, 'INVALID_ARGUMENT', /`HF_TOKEN`/);
      expect(error.message).not.toContain(token);
      expect(fixture.hub.seen).toEqual([]);
    },
  );
});

describe('a hub that', () => {
  test('nobody answers for', async () => {
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
    const error = await rejectionOf(resolveModelSource('org/tiny'));
    expectError(error, 'HUB_UNAVAILABLE', /no whole answer from http:\/\/127\.0\.0\.1:9 \(.+\)/);
    expect(error.message).toContain(join(fixture.cache, 'models--org--tiny/snapshots'));
    expect(error.message).toContain('`hf download org/tiny`');
  });

  test.each([500, 503, 429])('answers %d', async (status) => {
    fixture.hub.fault = () => ({ status });
    expectError(await rejectionOf(resolveModelSource('org/tiny')), 'HUB_UNAVAILABLE', `status ${status}`);
  });

  test('fails in the middle of a listing leaves nothing that looks like a model', async () => {
    fixture.hub.add({ id: 'org/tiny', files: modelFiles(fixture.root) });
    fixture.hub.fault = ({ url }) => (url.includes('cursor=') ? { status: 500 } : undefined);
    expectError(await rejectionOf(resolveModelSource('org/tiny')), 'HUB_UNAVAILABLE', 'status 500');
    fixture.hub.fault = ({ server, range }) =>
      server === 'cdn' && range !== 'bytes=0-0' ? { status: 502 } : undefined;
    expectError(await rejectionOf(resolveModelSource('org/tiny')), 'HUB_UNAVAILABLE', /./);
    process.env['HF_HUB_OFFLINE'] = '1';
    expectError(await rejectionOf(resolveModelSource('org/tiny')), 'HUB_UNAVAILABLE', /HF_HUB_OFFLINE/);
  });

  test('has an address that is none', async () => {
    process.env['HF_ENDPOINT'] = 'huggingface.co';
    expectError(await rejectionOf(resolveModelSource('org/tiny')), 'INVALID_ARGUMENT', /`HF_ENDPOINT`/);
  });
});

test('the cache is where the environment says', async () => {
  addDataset('{}');
  const commit = commitOf('org/data');
  const folder = mkdtempSync(join(fixture.root, 'cache-'));
  process.env['HF_HUB_CACHE'] = folder;
  expect(await hubFile(DATASET)).toBe(join(folder, 'datasets--org--data/snapshots', commit, DATASET.path));
  delete process.env['HF_HUB_CACHE'];
  delete process.env['HF_HOME'];
  process.env['XDG_CACHE_HOME'] = folder;
  expect(await hubFile(DATASET)).toContain(join(folder, 'huggingface/hub/datasets--org--data'));
});

test('a cache that cannot be written is an IO_ERROR', async () => {
  addDataset('{}');
  const folder = join(fixture.root, 'a file');
  writeFileSync(folder, '');
  process.env['HF_HUB_CACHE'] = folder;
  expectError(await rejectionOf(hubFile(DATASET)), 'IO_ERROR', /write into the cache/);
});
