#!/bin/bash
# What the page loads, from its sources: web/api.ts is generated from app.py, the rest compiled or copied into static/.
# It is in the repository, so that `make chat` needs no Node; run this after a change to app.py, web/ or the client.

cd "$(dirname "$0")/../.." || exit 1
set -euo pipefail
python=${PYTHON:-.venv/bin/python}
client=clients/typescript

"$python" -m ssgi_gateway rpc generate --lang typescript examples.chat.app:app -o examples/chat/web/api.ts
[ -d "$client/node_modules/typescript" ] || npm --prefix "$client" ci --no-audit --no-fund
(cd "$client" && node build.mjs)
node "$client/node_modules/typescript/bin/tsc" -p examples/chat

lib=examples/chat/static/lib
rm -rf "$lib"
mkdir -p "$lib/swill" "$lib/msgpack/utils"
cp "$client"/dist/esm/*.js "$lib/swill"
rm "$lib/swill/node.js"
msgpack=$client/node_modules/@msgpack/msgpack
cp "$msgpack"/dist.esm/*.mjs "$lib/msgpack"
cp "$msgpack"/dist.esm/utils/*.mjs "$lib/msgpack/utils"
cp "$msgpack/LICENSE" "$lib/msgpack"
# No maps are shipped that the files could point to.
find "$lib" \( -name '*.js' -o -name '*.mjs' \) -exec sed -i '/^\/\/# sourceMappingURL=/d' {} +
