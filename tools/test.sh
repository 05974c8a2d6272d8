#!/usr/bin/env bash
# Every test, as two runs side by side: those that need no root are mostly computing, the others mostly waiting.
# usage: test.sh PYTHON
set -uo pipefail

# Else what runs beside would be deaf to Ctrl-C, and its children with it, which tests send one.
set -m

python=$1
told=$(mktemp)
trap 'rm -f "$told"; kill $(jobs -p) 2>/dev/null' EXIT

"$python" -m pytest -m "not root" >"$told" 2>&1 &
unprivileged=$!
"$python" -m pytest -m root
failed=$?
wait "$unprivileged" || failed=$?
cat "$told"
exit "$failed"
