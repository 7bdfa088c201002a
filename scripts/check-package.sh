#!/usr/bin/env bash
# Installs what `npm pack` makes into an empty project, under an alias, as a consumer would, and uses it: require,
# import, types for both, one instance of each class, the command. Needs no network: the tarball is unpacked where
# npm would put it, and its dependencies are links to ours.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
export npm_config_update_notifier=false

(cd "$root" && npm pack --silent --pack-destination "$project" >"$project/pack.log" 2>&1) ||
  { cat "$project/pack.log" >&2; exit 1; }

package=$project/node_modules/self-play
mkdir -p "$package" "$project/node_modules/@types"
tar -xzf "$project"/lsp-*.tgz -C "$package" --strip-components=1
for dependency in $(node -p "Object.keys(require('$package/package.json').dependencies).join(' ')"); do
  mkdir -p "$(dirname "$project/node_modules/$dependency")"
  ln -s "$root/node_modules/$dependency" "$project/node_modules/$dependency"
done
ln -s "$root/node_modules/@types/node" "$project/node_modules/@types/node"

cd "$project"
echo '{ "name": "consumer", "private": true }' >package.json
cat >uses.cjs <<'JS'
const assert = require('node:assert');
const { LspError } = require('self-play');
assert.equal(new LspError('INTERNAL', 'Expected.').code, 'INTERNAL');
const { loadAddon } = require('./node_modules/self-play/dist/native/load.js');
const { active } = loadAddon().isa();
assert.equal(typeof active, 'string');
const { LanguageModel } = require('self-play');
LanguageModel.load('tiny').then(async (model) => {
  const [[answer]] = await model.generate([[{ role: 'user', content: 'Reverse: a b' }]], { maxNewTokens: 8 });
  assert.equal(answer.finishReason, 'eos');
  await model.dispose();
});
import('self-play').then((module) => {
  assert.equal(module.LspError, LspError);
  assert.deepEqual(Object.keys(module).sort(), Object.keys(require('self-play')).sort());
});
JS
cat >uses.mjs <<'JS'
import assert from 'node:assert';
import { LspError } from 'self-play';
assert.equal(new LspError('INTERNAL', 'Expected.').name, 'LspError');
JS
cat >types.cts <<'TS'
import { LspError, type LspErrorCode } from 'self-play';
export const code: LspErrorCode = new LspError('INTERNAL', 'Expected.').code;
TS
sed 's/INTERNAL/IO_ERROR/' types.cts >types.mts
echo '// @ts-expect-error: an unknown code is a type error, so the types are not `any`' >wrong.mts
echo "new (await import('self-play')).LspError('NO_SUCH_CODE', '');" >>wrong.mts
echo 'export {};' >>wrong.mts

node uses.cjs
node uses.mjs
node "$root/node_modules/typescript/bin/tsc" --noEmit --strict --target es2022 --lib es2023,esnext.disposable \
  --module node16 --moduleResolution node16 --types node types.cts types.mts wrong.mts
"$package/bin/lsp.js" --help >/dev/null
echo "package: require, import, types and the command work from $(basename "$project"/lsp-*.tgz)"
