/**
 * The hub against a small one on this machine: what is downloaded and what is not, the cache's layout, interruptions of
 * every kind, refusals, and what is used without asking anybody.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { hubFile, LanguageModel, openDataset, readRows, resolveModelSource } from '../../lib';
import type { DownloadProgress } from '../../lib/hub/file';
import { expectError, rejectionOf } from '../support/errors';
import { commitOf, FakeHub, gitHash, sha256 } from '../support/fake-hub';
import { encodeGguf, tinyGguf } from '../support/tiny-gguf';
import { seededUniform, writeTinyModel } from '../support/tiny-model';

const root = mkdtempSync(join(tmpdir(), 'lsp-hub-'));
const before = { ...process.env };
let hub: FakeHub;
let cache: string;

beforeAll(async () => {
  hub = await FakeHub.start();
});
beforeEach(() => {
  hub.reset();
  const home = mkdtempSync(join(root, 'home-'));
  cache = join(home, 'hub');
  for (const name of Object.keys(process.env))
    if (/^(HF|HUGGINGFACE)_/.test(name)) Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, { HF_HOME: home, HF_ENDPOINT: `${hub.url}/` });
});
afterAll(async () => {
  process.env = before;
  await hub.stop();
  rmSync(root, { recursive: true, force: true });
});

const noise = (bytes: number, seed = 1) => {
  const random = seededUniform(seed);
  return Buffer.from(Uint8Array.from({ length: bytes }, () => 256 * random()));
};

/** Files of the tiny model, with what nobody needs around them. */
function modelFiles(): Record<string, Buffer | string> {
  const directory = writeTinyModel(mkdtempSync(join(root, 'model-')));
  const files = readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))] as const);
  return {
    ...Object.fromEntries(files),
    'README.md': '# A model',
    'pytorch_model.bin': noise(600),
    'model.onnx': noise(700),
    'original/consolidated.pth': noise(800),
    'consolidated.safetensors': noise(900),
  };
}

const LOADED = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
];

const snapshotOf = (id: string, commit: string, type = 'models') =>
  join(cache, `${type}--${id.replace('/', '--')}`, 'snapshots', commit);

const DATASET = { type: 'dataset', repo: 'org/data', path: 'main/test.jsonl' } as const;

function addDataset(content: Buffer | string): string {
  return hub.add({
    type: 'dataset',
    id: 'org/data',
    files: { 'main/test.jsonl': content, 'README.md': 'x' },
  });
}

describe('a model', () => {
  test('is loaded by its id: only the files it needs, in the layout of the usual cache', async () => {
    const files = modelFiles();
    const commit = hub.add({ id: 'org/tiny-1.5', files });
    const progress: DownloadProgress[] = [];
    await using model = await LanguageModel.load('org/tiny-1.5', {
      threads: 1,
      onDownload: (step) => progress.push(step),
    });
    expect(model.config.numLayers).toBeGreaterThan(0);
    const totalBytes = LOADED.reduce((sum, name) => sum + Buffer.byteLength(files[name]!), 0);
    expect(progress.at(-1)).toEqual({ file: 'model.safetensors', downloadedBytes: totalBytes, totalBytes });
    const counts = progress.map(({ downloadedBytes }) => downloadedBytes);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    const snapshot = snapshotOf('org/tiny-1.5', commit);
    expect(readdirSync(snapshot).sort()).toEqual(LOADED);
    expect(readFileSync(join(snapshot, '../../refs/main'), 'utf8')).toBe(commit);
    for (const name of LOADED) {
      const content = Buffer.from(files[name]!);
      const hash = content.length < 512 ? gitHash(content) : sha256(content);
      expect(readlinkSync(join(snapshot, name))).toBe(join('..', '..', 'blobs', hash));
      expect(readFileSync(join(snapshot, name)).equals(content)).toBe(true);
    }
    expect(readdirSync(join(snapshot, '../../blobs'))).toHaveLength(LOADED.length);
  });

  test('that is complete in the cache needs no network, also when another program put it there', async () => {
    const commit = hub.add({ id: 'org/tiny', files: modelFiles() });
    const path = await resolveModelSource('org/tiny');
    expect(path).toBe(snapshotOf('org/tiny', commit));
    hub.seen.length = 0;
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9'; // nobody listens there
    expect(await resolveModelSource('org/tiny')).toBe(path);
    expect(await resolveModelSource(`org/tiny@${commit}`)).toBe(path);
    expect(hub.seen).toEqual([]);
    // Without optional files, as a program would leave it that did not ask for them.
    rmSync(join(path, 'generation_config.json'));
    process.env['HF_HUB_OFFLINE'] = 'yes';
    expect(await resolveModelSource('org/tiny')).toBe(path);
    rmSync(join(path, 'tokenizer.json'));
    const error = await rejectionOf(resolveModelSource('org/tiny'));
    expectError(error, 'HUB_UNAVAILABLE', /HF_HUB_OFFLINE is set/);
    expect(error.message).toContain(path);
    expect(error.message).toContain('`hf download org/tiny`');
  });

  test('in shards: those of the index, and no others', async () => {
    const files = modelFiles();
    const weights = files['model.safetensors']!;
    delete files['model.safetensors'];
    const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    const index = { weight_map: { a: shards[0], b: shards[1], c: shards[0] } };
    hub.add({
      id: 'org/sharded',
      files: {
        ...files,
        'model.safetensors.index.json': JSON.stringify(index),
        [shards[0]!]: weights,
        [shards[1]!]: noise(2000),
        'model-00003-of-00002.safetensors': noise(3000),
      },
    });
    const path = await resolveModelSource('org/sharded');
    const rest = LOADED.filter((name) => name !== 'model.safetensors');
    expect(readdirSync(path).sort()).toEqual([...rest, ...shards, 'model.safetensors.index.json'].sort());
    hub.seen.length = 0;
    expect(await resolveModelSource('org/sharded')).toBe(path);
    expect(hub.seen).toEqual([]);
    rmSync(join(path, shards[1]!));
    expect(await resolveModelSource('org/sharded')).toBe(path);
    expect(existsSync(join(path, shards[1]!))).toBe(true);
    expect(hub.downloads).toEqual([]); // its blob was still there
  });

  test('of a branch, a tag or a commit', async () => {
    const main = hub.add({ id: 'org/tiny', files: modelFiles() });
    const other = commitOf('other');
    const repository = hub.repositories[0]!;
    repository.refs['refs/pr/1'] = other;
    repository.commits[other] = { ...repository.commits[main]!, 'generation_config.json': Buffer.from('{}') };
    const path = await resolveModelSource('org/tiny@refs/pr/1');
    expect(path).toBe(snapshotOf('org/tiny', other));
    expect(readFileSync(join(path, 'generation_config.json'), 'utf8')).toBe('{}');
    expect(readFileSync(join(path, '../../refs/refs/pr/1'), 'utf8')).toBe(other);
    expect(await resolveModelSource(`org/tiny@${main}`)).toBe(snapshotOf('org/tiny', main));
    const error = await rejectionOf(resolveModelSource('org/tiny@nightly'));
    expectError(error, 'HUB_REFUSED', /org\/tiny at revision nightly .*status 404/);
    expect(error.message).toContain('`hf download org/tiny --revision nightly`');
  });

  test('that cannot be run is refused before its weights come', async () => {
    const files = modelFiles();
    const config = JSON.parse(String(files['config.json'])) as object;
    hub.add({
      id: 'org/other',
      files: { ...files, 'config.json': JSON.stringify({ ...config, model_type: 'rwkv' }) },
    });
    expectError(await rejectionOf(resolveModelSource('org/other')), 'UNSUPPORTED_MODEL', /rwkv/);
    delete files['tokenizer.json'];
    hub.add({ id: 'org/mute', files });
    expectError(
      await rejectionOf(resolveModelSource('org/mute')),
      'UNSUPPORTED_MODEL',
      /holds no tokenizer\.json/,
    );
    hub.add({ id: 'org/pickle', files: { 'config.json': '{}', 'pytorch_model.bin': noise(600) } });
    expectError(
      await rejectionOf(resolveModelSource('org/pickle')),
      'UNSUPPORTED_MODEL',
      /nor a \.gguf file/,
    );
    expect(hub.downloads.filter(({ server }) => server === 'cdn').map(({ url }) => url)).not.toContain(
      `/blob/${sha256(Buffer.from(files['model.safetensors']!))}`,
    );
  });
});

describe('a GGUF repository', () => {
  const gguf = encodeGguf(tinyGguf());

  test('with one file needs no name of it', async () => {
    const commit = hub.add({
      id: 'org/one-GGUF',
      files: { 'README.md': 'x', 'tiny.gguf': gguf, 'config.json': '{}' },
    });
    await using model = await LanguageModel.load('org/one-GGUF', { threads: 1 });
    expect(model.config.hiddenSize).toBe(8);
    hub.seen.length = 0;
    expect(await resolveModelSource('org/one-GGUF')).toBe(
      join(snapshotOf('org/one-GGUF', commit), 'tiny.gguf'),
    );
    expect(hub.seen).toEqual([]);
  });

  test('filled by another program is used where the hub cannot be asked', async () => {
    const commit = hub.add({ id: 'org/one-GGUF', files: { 'tiny.gguf': gguf, 'config.json': '{}' } });
    const path = await resolveModelSource('org/one-GGUF:tiny.gguf');
    writeFileSync(join(snapshotOf('org/one-GGUF', commit), 'config.json'), '{}');
    hub.seen.length = 0;
    expect(await resolveModelSource('org/one-GGUF')).toBe(path);
    expect(hub.seen.length).toBeGreaterThan(0); // there might have been others
    rmSync(join(cache, 'models--org--one-GGUF/.no_exist'), { recursive: true });
    process.env['HF_HUB_OFFLINE'] = '1';
    expect(await resolveModelSource('org/one-GGUF')).toBe(path);
  });

  test('with safetensors too is a directory, whatever file of it is in the cache', async () => {
    const commit = hub.add({ id: 'org/mixed', files: { ...modelFiles(), 'tiny.gguf': gguf } });
    expect(await resolveModelSource('org/mixed:tiny.gguf')).toMatch(/tiny\.gguf$/);
    expect(await resolveModelSource('org/mixed')).toBe(snapshotOf('org/mixed', commit));
    expect(existsSync(join(snapshotOf('org/mixed', commit), 'model.safetensors'))).toBe(true);
  });

  test('with several wants a name, and lists them', async () => {
    const files = { 'q4/a.Q4_K_M.gguf': gguf, 'b.Q8_0.gguf': noise(700) };
    const commit = hub.add({ id: 'org/two-GGUF', files });
    const error = await rejectionOf(resolveModelSource('org/two-GGUF'));
    expectError(error, 'INVALID_ARGUMENT', /one of 2 \.gguf files/);
    expect(error.message).toContain('It has q4/a.Q4_K_M.gguf, b.Q8_0.gguf.');
    const path = await resolveModelSource('org/two-GGUF:q4/a.Q4_K_M.gguf');
    expect(path).toBe(join(snapshotOf('org/two-GGUF', commit), 'q4/a.Q4_K_M.gguf'));
    expect(readlinkSync(path)).toBe(join('../../../blobs', sha256(gguf)));
    expect(readFileSync(path).equals(gguf)).toBe(true);
    hub.seen.length = 0;
    expect(await resolveModelSource('org/two-GGUF@main:q4/a.Q4_K_M.gguf')).toBe(path);
    expect(hub.seen).toEqual([]);
    const missing = await rejectionOf(resolveModelSource('org/two-GGUF:c.gguf'));
    expectError(missing, 'HUB_REFUSED', /no file c\.gguf there.* It has q4\/a/);
  });
});

describe('a source that is no hub id', () => {
  test.each([
    'tiny',
    '/no/such/path',
    './org/name',
    'name',
    'a/b/c',
    'models/a.gguf',
    'x/y.safetensors',
    'a--b/c',
    '~/x',
  ])('%s is left as it is', async (source) => {
    expect(await resolveModelSource(source)).toBe(source);
    expect(hub.seen).toEqual([]);
  });

  test('a path on the disk comes first', async () => {
    const directory = mkdtempSync(join(root, 'cwd-'));
    mkdirSync(join(directory, 'org/name'), { recursive: true });
    const here = process.cwd();
    process.chdir(directory);
    try {
      expect(await resolveModelSource('org/name')).toBe('org/name');
    } finally {
      process.chdir(here);
    }
    expect(hub.seen).toEqual([]);
  });

  test.each([
    'org/name@',
    'org/name@../x',
    'org/name@a b',
    'org/name:',
    'org/name:../../x.gguf',
    'org/name:weights.bin',
    'org/name:/etc/x.gguf',
  ])('%s is refused', async (source) => {
    expectError(await rejectionOf(resolveModelSource(source)), 'INVALID_ARGUMENT', /`source`/);
    expect(hub.seen).toEqual([]);
  });
});

describe('a data set', () => {
  test('is a file of the hub, or the one that is given', async () => {
    const commit = addDataset('{"a": 1}\n{"a": 2}\n');
    const path = await openDataset(undefined, DATASET);
    expect(path).toBe(join(snapshotOf('org/data', commit, 'datasets'), 'main/test.jsonl'));
    expect(await readRows(path)).toEqual([{ a: 1 }, { a: 2 }]);
    hub.seen.length = 0;
    expect(await openDataset(undefined, DATASET)).toBe(path);
    expect(await openDataset(path, { ...DATASET, repo: 'nobody/nothing' })).toBe(path);
    expect(hub.seen).toEqual([]);
    expectError(
      await rejectionOf(openDataset(join(root, 'no.jsonl'), DATASET)),
      'IO_ERROR',
      /no\.jsonl: ENOENT/,
    );
    expectError(await rejectionOf(openDataset(root, DATASET)), 'INVALID_ARGUMENT', /is none/);
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
    expect(hub.seen).toEqual([]);
  });
});

describe('an interrupted download', () => {
  const content = noise(300_000, 3);
  const file = { type: 'dataset', repo: 'org/data', path: 'main/test.jsonl' } as const;
  const blobs = () => readdirSync(join(cache, 'datasets--org--data/blobs'));
  const isDownload = ({ server, range }: { server: string; range: string | undefined }) =>
    server === 'cdn' && range !== 'bytes=0-0';
  const resolved = () => snapshotOf('org/data', commitOf('org/data'), 'datasets');

  test('goes on where it was cut, and does not look complete before', async () => {
    addDataset(content);
    hub.fault = (request) => (isDownload(request) ? { cutAfterBytes: 200_000 } : undefined);
    expectError(await rejectionOf(hubFile(file)), 'HUB_UNAVAILABLE', /no whole answer from/);
    expect(existsSync(join(resolved(), file.path))).toBe(false);
    const [incomplete] = blobs();
    expect(incomplete).toBe(`${sha256(content)}.incomplete`);
    const size = statSync(join(cache, 'datasets--org--data/blobs', incomplete!)).size;
    expect(size).toBeGreaterThan(0);
    hub.fault = () => undefined;
    hub.seen.length = 0;
    const progress: DownloadProgress[] = [];
    const path = await hubFile(file, { onProgress: (step) => progress.push(step) });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(blobs()).toEqual([sha256(content)]);
    expect(hub.downloads.filter(isDownload).map(({ range }) => range)).toEqual([`bytes=${size}-299999`]);
    expect(progress[0]).toEqual({ file: file.path, downloadedBytes: size, totalBytes: 300_000 });
    expect(progress.at(-1)).toEqual({ file: file.path, downloadedBytes: 300_000, totalBytes: 300_000 });
  });

  test.each([
    ['other bytes', (path: string) => writeFileSync(path, noise(100_000, 4))],
    ['too many bytes', (path: string) => writeFileSync(path, noise(400_000, 4))],
    ['zeros after a power cut', (path: string) => truncateSync(path, 250_000)],
  ])('whose rest has become useless (%s) starts again', async (_, spoil) => {
    addDataset(content);
    hub.fault = (request) => (isDownload(request) ? { cutAfterBytes: 100_000 } : undefined);
    await rejectionOf(hubFile(file));
    hub.fault = () => undefined;
    spoil(join(cache, 'datasets--org--data/blobs', `${sha256(content)}.incomplete`));
    expect(readFileSync(await hubFile(file)).equals(content)).toBe(true);
    expect(blobs()).toEqual([sha256(content)]);
  });

  test('starts again with a server that knows no ranges', async () => {
    addDataset(content);
    hub.fault = (request) => (isDownload(request) ? { cutAfterBytes: 100_000 } : undefined);
    await rejectionOf(hubFile(file));
    hub.fault = (request) => (isDownload(request) ? { ignoreRange: true } : undefined);
    expect(readFileSync(await hubFile(file)).equals(content)).toBe(true);
  });

  test('that brings other bytes leaves nothing', async () => {
    addDataset(content);
    hub.fault = (request) => (isDownload(request) ? { wrongBytes: true } : undefined);
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
    hub.add({ id: 'org/gated', files: modelFiles(), token: 'hf_right' });
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
    const cdn = hub.seen.filter(({ server }) => server === 'cdn');
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
      expect(hub.seen).toEqual([]);
    },
  );
});

describe('a hub that', () => {
  test('nobody answers for', async () => {
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
    const error = await rejectionOf(resolveModelSource('org/tiny'));
    expectError(error, 'HUB_UNAVAILABLE', /no whole answer from http:\/\/127\.0\.0\.1:9 \(.+\)/);
    expect(error.message).toContain(join(cache, 'models--org--tiny/snapshots'));
    expect(error.message).toContain('`hf download org/tiny`');
  });

  test.each([500, 503, 429])('answers %d', async (status) => {
    hub.fault = () => ({ status });
    expectError(await rejectionOf(resolveModelSource('org/tiny')), 'HUB_UNAVAILABLE', `status ${status}`);
  });

  test('fails in the middle of a listing leaves nothing that looks like a model', async () => {
    hub.add({ id: 'org/tiny', files: modelFiles() });
    hub.fault = ({ url }) => (url.includes('cursor=') ? { status: 500 } : undefined);
    expectError(await rejectionOf(resolveModelSource('org/tiny')), 'HUB_UNAVAILABLE', 'status 500');
    hub.fault = ({ server, range }) =>
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
  const folder = mkdtempSync(join(root, 'cache-'));
  process.env['HF_HUB_CACHE'] = folder;
  expect(await hubFile(DATASET)).toBe(join(folder, 'datasets--org--data/snapshots', commit, DATASET.path));
  delete process.env['HF_HUB_CACHE'];
  delete process.env['HF_HOME'];
  process.env['XDG_CACHE_HOME'] = folder;
  expect(await hubFile(DATASET)).toContain(join(folder, 'huggingface/hub/datasets--org--data'));
});

test('a cache that cannot be written is an IO_ERROR', async () => {
  addDataset('{}');
  const folder = join(root, 'a file');
  writeFileSync(folder, '');
  process.env['HF_HUB_CACHE'] = folder;
  expectError(await rejectionOf(hubFile(DATASET)), 'IO_ERROR', /write into the cache/);
});
