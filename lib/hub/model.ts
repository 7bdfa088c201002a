/**
 * The files of a model repository that the loader reads, and nothing else: no pickled weights, no other formats, no
 * pictures.
 *
 * Weights come last, so that a snapshot of ours with complete weights is complete; one that is filled by another
 * program counts as complete when configuration, tokenizer and weights are there.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LspError } from '../errors';
import { INDEX_FILE, readDirectoryConfig, readIndex, SINGLE_FILE } from '../model/formats/huggingface';
import { unsupported } from '../model/formats/model-file';
import { cachedFile, isKnownAbsent, markAbsent, type Repository, snapshotFolder } from './cache';
import { type HubClient, refused, type RemoteFile } from './client';
import { downloadFile } from './download';
import type { HubOptions } from './file';

const REQUIRED_FILES = ['config.json', 'tokenizer.json'];
/** One of them says where the weights are. */
const WEIGHTS = [SINGLE_FILE, INDEX_FILE];
const OPTIONAL_FILES = [
  'generation_config.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'chat_template.json',
];

/** Most names that an error lists. */
const MAX_LISTED = 40;

/**
 * The model that the cache has of a commit, if all of it is there: the path of the snapshot, of the .gguf file that is
 * asked for, or of the only .gguf file of a repository that is known to have no safetensors.
 * @throws LspError INVALID_MODEL_FILE for a damaged list of shards
 */
export function cachedModel(
  repository: Repository,
  commit: string,
  file: string | undefined,
): string | undefined {
  const snapshot = snapshotFolder(repository, commit);
  if (file !== undefined) return cachedFile(snapshot, file);
  const has = (name: string) => cachedFile(snapshot, name) !== undefined;
  if (REQUIRED_FILES.every(has)) {
    if (has(SINGLE_FILE)) return snapshot;
    if (has(INDEX_FILE) && [...readIndex(join(snapshot, INDEX_FILE)).keys()].every(has)) return snapshot;
  }
  const isKnown = WEIGHTS.every((name) => isKnownAbsent(repository, commit, name));
  return isKnown ? onlyCachedGguf(snapshot) : undefined;
}

/**
 * The only .gguf file of a snapshot that looks like a GGUF repository's. Whether the repository has others, or
 * safetensors too, only the hub knows: this is for when it cannot be asked.
 */
export function onlyCachedGguf(snapshot: string): string | undefined {
  if (!existsSync(snapshot)) return undefined;
  const files = readdirSync(snapshot, { recursive: true, encoding: 'utf8' });
  if (files.some((name) => name === 'tokenizer.json' || name.includes('.safetensors'))) return undefined;
  const found = files.filter(isGguf);
  return found.length === 1 ? cachedFile(snapshot, found[0]!) : undefined;
}

function isGguf(path: string): boolean {
  return /\.gguf$/i.test(path);
}

/**
 * Downloads what is missing of a model.
 *
 * @returns its local path, as `cachedModel`
 * @throws LspError as `hubFile`; also UNSUPPORTED_MODEL (nothing in it can be loaded, told before the weights come) and
 *   INVALID_ARGUMENT (several .gguf files and none is named)
 */
export async function downloadModel(
  client: HubClient,
  commit: string,
  file: string | undefined,
  onProgress: HubOptions['onProgress'],
): Promise<string> {
  const { repo } = client.repository;
  const remote = new Map((await client.files(commit)).map((entry) => [entry.path, entry]));
  const gguf = file ?? (hasSafetensors(remote) ? undefined : onlyGguf(repo, [...remote.keys()]));
  if (gguf !== undefined) {
    const entry = remote.get(gguf);
    if (!entry)
      throw refused(client.repository, `no file ${gguf} there`, listed([...remote.keys()].filter(isGguf)));
    const [path] = await downloadAll(client, commit, [entry], [entry], onProgress);
    // The next call will know what this one has asked for.
    if (file === undefined) {
      for (const name of WEIGHTS) await markAbsent(client.repository, commit, name);
    }
    return path!;
  }
  for (const name of REQUIRED_FILES) {
    if (!remote.has(name)) throw unsupported(repo, `it holds no ${name}.`, 'Take a repository that has one.');
  }
  const small = [...REQUIRED_FILES, ...OPTIONAL_FILES].flatMap((name) => remote.get(name) ?? []);
  const weights = await weightFiles(client, commit, remote);
  const all = [...small, ...weights];
  await downloadAll(client, commit, small, all, onProgress);
  const snapshot = snapshotFolder(client.repository, commit);
  readDirectoryConfig(snapshot); // a model that cannot be run is refused before its weights come
  await downloadAll(client, commit, weights, all, onProgress);
  return snapshot;
}

function hasSafetensors(remote: ReadonlyMap<string, RemoteFile>): boolean {
  return WEIGHTS.some((name) => remote.has(name));
}

function onlyGguf(repo: string, paths: readonly string[]): string {
  const files = paths.filter(isGguf);
  if (files.length === 1) return files[0]!;
  if (files.length === 0) {
    throw unsupported(
      repo,
      `it holds neither ${SINGLE_FILE} nor ${INDEX_FILE} nor a .gguf file.`,
      'Take a repository with safetensors, or convert the weights (in transformers: model.save_pretrained).',
    );
  }
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected the name of one of ${files.length} .gguf files for \`source\` but received "${repo}" alone.`,
    { remedy: `Give "${repo}:${files[0]}", say. ${listed(files)}` },
  );
}

function listed(files: readonly string[]): string {
  const more = files.length > MAX_LISTED ? ' …' : '';
  return files.length === 0
    ? 'It has no .gguf file.'
    : `It has ${files.slice(0, MAX_LISTED).join(', ')}${more}.`;
}

/** One file, or those that the index names, the index first. */
async function weightFiles(
  client: HubClient,
  commit: string,
  remote: ReadonlyMap<string, RemoteFile>,
): Promise<RemoteFile[]> {
  const single = remote.get(SINGLE_FILE);
  if (single) return [single];
  const index = remote.get(INDEX_FILE)!;
  const shards = readIndex(await downloadFile(client, commit, index)).keys();
  const files = [...shards].map((name) => {
    const shard = remote.get(name);
    if (shard) return shard;
    throw refused(client.repository, `no file ${name} there, which ${INDEX_FILE} names`);
  });
  return [index, ...files];
}

/** Downloads some files of a plan whose whole size progress is told of. */
async function downloadAll(
  client: HubClient,
  commit: string,
  files: readonly RemoteFile[],
  plan: readonly RemoteFile[],
  onProgress: HubOptions['onProgress'],
): Promise<string[]> {
  const totalBytes = bytesOf(plan);
  let before = bytesOf(plan.slice(0, plan.indexOf(files[0]!)));
  const paths: string[] = [];
  for (const file of files) {
    const start = before;
    paths.push(
      await downloadFile(client, commit, file, (bytes) =>
        onProgress?.({ file: file.path, downloadedBytes: start + bytes, totalBytes }),
      ),
    );
    before += file.bytes;
  }
  return paths;
}

function bytesOf(files: readonly RemoteFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
