import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LspError } from '../../lib/errors';
import { loadAddon, loadFrom } from '../../lib/native/load';

function failure(root: string): LspError {
  try {
    loadFrom(root);
  } catch (error) {
    if (error instanceof LspError) return error;
    throw error;
  }
  throw new Error('loaded');
}

describe('loading the native addon', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lsp-load-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test('gives the same addon at every call', () => {
    const addon = loadAddon();
    expect(loadAddon()).toBe(addon);
    expect(addon.isa().available).toContain(addon.isa().active);
  });

  test('without a binary: says which platform, where, and what to do', () => {
    const error = failure(folder);
    expect(error.code).toBe('NATIVE_LOAD_FAILED');
    expect(error.message).toContain(`${process.platform}-${process.arch}`);
    expect(error.message).toContain(folder);
    expect(error.remedy).toMatch(/^Possible solutions:\n- /);
  });

  test('with a file that is no binary: the same error, with the cause kept', () => {
    mkdirSync(join(folder, 'build', 'Release'), { recursive: true });
    writeFileSync(join(folder, 'build', 'Release', 'lsp.node'), 'not a shared object');
    const error = failure(folder);
    expect(error.code).toBe('NATIVE_LOAD_FAILED');
    expect(error.cause).toHaveProperty('message', expect.stringContaining('lsp.node'));
  });
});
