#!/usr/bin/env bash
# Installs into .venv what the given locks pin: with uv, else with pip, which may know a mirror from a
# configuration that uv does not read. Neither compiles: most of the 10,000 files are never imported.
set -euo pipefail

if [[ -x .venv/bin/uv ]]; then
    # Without the list of what was installed, which is the lock, and without uv's chain of causes.
    .venv/bin/uv pip install --python .venv/bin/python --require-hashes "$@" 2>&1 | sed -u '/^ [-+~] /d; /^  cause:/d' >&2 && exit
    echo 'uv could not install these: pip does, which takes some minutes' >&2
fi
.venv/bin/pip install --disable-pip-version-check --no-warn-conflicts --no-compile --require-hashes "$@" \
    | sed -un 's/^\(Collecting [^ ]*\).*/\1/p; s/^\(Installing collected packages\):.*/\1/p' >&2
