#!/usr/bin/env bash
# Installs into .venv what a lock pins, and nothing besides: pip_install.sh LOCK. With uv, else with pip, which may
# know a mirror from a configuration that uv does not read. Neither compiles: most of the 10,000 files are never
# imported. Neither resolves: a lock is complete, and mamushi's click is another one there (pyproject.toml).
set -euo pipefail
lock=$1
exactly=(--require-hashes --no-deps --no-build-isolation)

install() {
    if [[ -x .venv/bin/uv ]]; then
        # Without the list of what was installed, which is the lock, and without uv's chain of causes.
        .venv/bin/uv pip install --python .venv/bin/python "${exactly[@]}" -r "$1" 2>&1 \
            | sed -u '/^ [-+~] /d; /^  cause:/d' >&2 && return
        echo 'uv could not install these: pip does, which takes some minutes' >&2
    fi
    .venv/bin/pip install --disable-pip-version-check --no-compile "${exactly[@]}" -r "$1" \
        | sed -un 's/^\(Collecting [^ ]*\).*/\1/p; s/^\(Installing collected packages\):.*/\1/p' >&2
}

# What builds the few packages that have no wheel, before them.
if grep -q '^setuptools==' "$lock"; then
    builder=$(mktemp)
    trap 'rm -f "$builder"' EXIT
    sed -n '/^setuptools==/,/^ *# via/p' "$lock" >"$builder"
    install "$builder"
fi
install "$lock"
