/** Models of the hub: what is downloaded and what is not, the layout of the cache, what is used without asking anybody. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type DownloadProgress, LanguageModel, resolveModelSource } from '../../lib';
import { expectError, rejectionOf } from '../support/errors';
import { commitOf, gitHash, sha256 } from '../support/fake-hub';
import { encodeGguf, tinyGguf } from '../support/tiny-gguf';
import { modelFiles, noise, snapshotIn, useHub } from './support';

const fixture = useHub();

const LOADED = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
];

const snapshotOf = (id: string, commit: string) => snapshotIn(fixture.cache, 'model', id, commit);

describe('a model', () => {
  test('is loaded by its id: only the files it needs, in the layout of the usual cache', async () => {
    const files = modelFiles(fixture.root);
    const commit = fixture.hub.add({ id: 'org/tiny-1.5', files });
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

  test('of a hostile repository stays in the cache', async () => {
    const evil = '../../../../../escaped/evil.gguf';
    fixture.hub.add({ id: 'org/hostile', files: { [evil]: encodeGguf(tinyGguf()) } });
    expectError(
      await rejectionOf(resolveModelSource('org/hostile')),
      'UNSUPPORTED_MODEL',
      /nor a \.gguf file/,
    );
    expect(existsSync(join(fixture.cache, evil))).toBe(false);
    expect(existsSync(join(fixture.cache, 'models--org--hostile/snapshots', 'escaped'))).toBe(false);
  });

  test('that is complete in the cache needs no network, also when another program put it there', async () => {
    const commit = fixture.hub.add({ id: 'org/tiny', files: modelFiles(fixture.root) });
    const path = await resolveModelSource('org/tiny');
    expect(path).toBe(snapshotOf('org/tiny', commit));
    fixture.hub.seen.length = 0;
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9'; // nobody listens there
    expect(await resolveModelSource('org/tiny')).toBe(path);
    expect(await resolveModelSource(`org/tiny@${commit}`)).toBe(path);
    expect(fixture.hub.seen).toEqual([]);
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
    const files = modelFiles(fixture.root);
    const weights = files['model.safetensors']!;
    delete files['model.safetensors'];
    const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    const index = { weight_map: { a: shards[0], b: shards[1], c: shards[0] } };
    fixture.hub.add({
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
    fixture.hub.seen.length = 0;
    expect(await resolveModelSource('org/sharded')).toBe(path);
    expect(fixture.hub.seen).toEqual([]);
    rmSync(join(path, shards[1]!));
    expect(await resolveModelSource('org/sharded')).toBe(path);
    expect(existsSync(join(path, shards[1]!))).toBe(true);
    expect(fixture.hub.downloads).toEqual([]); // its blob was still there
  });

  test('of a branch, a tag or a commit', async () => {
    const main = fixture.hub.add({ id: 'org/tiny', files: modelFiles(fixture.root) });
    const other = commitOf('other');
    const repository = fixture.hub.repositories[0]!;
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
    const files = modelFiles(fixture.root);
    const config = JSON.parse(String(files['config.json'])) as object;
    fixture.hub.add({
      id: 'org/other',
      files: { ...files, 'config.json': JSON.stringify({ ...config, model_type: 'rwkv' }) },
    });
    expectError(await rejectionOf(resolveModelSource('org/other')), 'UNSUPPORTED_MODEL', /rwkv/);
    delete files['tokenizer.json'];
    fixture.hub.add({ id: 'org/mute', files });
    expectError(
      await rejectionOf(resolveModelSource('org/mute')),
      'UNSUPPORTED_MODEL',
      /holds no tokenizer\.json/,
    );
    fixture.hub.add({ id: 'org/pickle', files: { 'config.json': '{}', 'pytorch_model.bin': noise(600) } });
    expectError(
      await rejectionOf(resolveModelSource('org/pickle')),
      'UNSUPPORTED_MODEL',
      /nor a \.gguf file/,
    );
    expect(
      fixture.hub.downloads.filter(({ server }) => server === 'cdn').map(({ url }) => url),
    ).not.toContain(`/blob/${sha256(Buffer.from(files['model.safetensors']!))}`);
  });
});

describe('a GGUF repository', () => {
  const gguf = encodeGguf(tinyGguf());

  test('with one file needs no name of it', async () => {
    const commit = fixture.hub.add({
      id: 'org/one-GGUF',
      files: { 'README.md': 'x', 'tiny.gguf': gguf, 'config.json': '{}' },
    });
    await using model = await LanguageModel.load('org/one-GGUF', { threads: 1 });
    expect(model.config.hiddenSize).toBe(8);
    fixture.hub.seen.length = 0;
    expect(await resolveModelSource('org/one-GGUF')).toBe(
      join(snapshotOf('org/one-GGUF', commit), 'tiny.gguf'),
    );
    expect(fixture.hub.seen).toEqual([]);
  });

  test('filled by another program is used where the hub cannot be asked', async () => {
    const commit = fixture.hub.add({ id: 'org/one-GGUF', files: { 'tiny.gguf': gguf, 'config.json': '{}' } });
    const path = await resolveModelSource('org/one-GGUF:tiny.gguf');
    writeFileSync(join(snapshotOf('org/one-GGUF', commit), 'config.json'), '{}');
    fixture.hub.seen.length = 0;
    expect(await resolveModelSource('org/one-GGUF')).toBe(path);
    expect(fixture.hub.seen.length).toBeGreaterThan(0); // there might have been others
    rmSync(join(fixture.cache, 'models--org--one-GGUF/.no_exist'), { recursive: true });
    process.env['HF_HUB_OFFLINE'] = '1';
    expect(await resolveModelSource('org/one-GGUF')).toBe(path);
  });

  test('with safetensors too is a directory, whatever file of it is in the cache', async () => {
    const commit = fixture.hub.add({
      id: 'org/mixed',
      files: { ...modelFiles(fixture.root), 'tiny.gguf': gguf },
    });
    expect(await resolveModelSource('org/mixed:tiny.gguf')).toMatch(/tiny\.gguf$/);
    expect(await resolveModelSource('org/mixed')).toBe(snapshotOf('org/mixed', commit));
    expect(existsSync(join(snapshotOf('org/mixed', commit), 'model.safetensors'))).toBe(true);
  });

  test('with several wants a name, and lists them', async () => {
    const files = { 'q4/a.Q4_K_M.gguf': gguf, 'b.Q8_0.gguf': noise(700) };
    const commit = fixture.hub.add({ id: 'org/two-GGUF', files });
    const error = await rejectionOf(resolveModelSource('org/two-GGUF'));
    expectError(error, 'INVALID_ARGUMENT', /one of 2 \.gguf files/);
    expect(error.message).toContain('It has q4/a.Q4_K_M.gguf, b.Q8_0.gguf.');
    const path = await resolveModelSource('org/two-GGUF:q4/a.Q4_K_M.gguf');
    expect(path).toBe(join(snapshotOf('org/two-GGUF', commit), 'q4/a.Q4_K_M.gguf'));
    expect(readlinkSync(path)).toBe(join('../../../blobs', sha256(gguf)));
    expect(readFileSync(path).equals(gguf)).toBe(true);
    fixture.hub.seen.length = 0;
    expect(await resolveModelSource('org/two-GGUF@main:q4/a.Q4_K_M.gguf')).toBe(path);
    expect(fixture.hub.seen).toEqual([]);
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
    expect(fixture.hub.seen).toEqual([]);
  });

  test('a path on the disk comes first', async () => {
    const directory = mkdtempSync(join(fixture.root, 'cwd-'));
    mkdirSync(join(directory, 'org/name'), { recursive: true });
    const here = process.cwd();
    process.chdir(directory);
    try {
      expect(await resolveModelSource('org/name')).toBe('org/name');
    } finally {
      process.chdir(here);
    }
    expect(fixture.hub.seen).toEqual([]);
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
    expect(fixture.hub.seen).toEqual([]);
  });
});
