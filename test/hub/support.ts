/** A hub on this machine and an empty cache for each test, and what the tests put on the hub. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeHub } from '../support/fake-hub';
import { seededUniform, writeTinyModel } from '../support/tiny-model';

export interface HubFixture {
  hub: FakeHub;
  /** For a test's own files; removed at the end. */
  root: string;
  /** The cache of the test that is running. */
  cache: string;
}

/** Starts a hub before the tests of a file; each test has a cache of its own, and no settings but these. */
export function useHub(): HubFixture {
  const fixture = { root: mkdtempSync(join(tmpdir(), 'lsp-hub-')) } as HubFixture;
  const before = { ...process.env };
  beforeAll(async () => {
    fixture.hub = await FakeHub.start();
  });
  beforeEach(() => {
    fixture.hub.reset();
    const home = mkdtempSync(join(fixture.root, 'home-'));
    fixture.cache = join(home, 'hub');
    for (const name of Object.keys(process.env)) {
      if (/^(HF|HUGGINGFACE)_/.test(name)) Reflect.deleteProperty(process.env, name);
    }
    Object.assign(process.env, { HF_HOME: home, HF_ENDPOINT: `${fixture.hub.url}/` });
  });
  afterAll(async () => {
    process.env = before;
    await fixture.hub.stop();
    rmSync(fixture.root, { recursive: true, force: true });
  });
  return fixture;
}

/** Bytes in [0, 256), the same at every run. */
export function noise(bytes: number, seed = 1): Buffer {
  const random = seededUniform(seed);
  return Buffer.from(Uint8Array.from({ length: bytes }, () => 256 * random()));
}

/** Files of the tiny model, with what nobody needs around them. */
export function modelFiles(root: string): Record<string, Buffer | string> {
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

/** Folder of a commit in a cache. */
export function snapshotIn(cache: string, type: 'model' | 'dataset', id: string, commit: string): string {
  return join(cache, `${type}s--${id.replace('/', '--')}`, 'snapshots', commit);
}
