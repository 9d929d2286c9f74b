"""The Hardhats that are installed here: one of version 2, one of version 3."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.checkout_paths import ROOT

PROJECTS = {"2.29.1": ROOT, "3.18.0": ROOT / "tools" / "hardhat3"}
"""Version -> the folder with its `node_modules`."""


def require_hardhat_project(version: str) -> Path:
    """Return the folder that has a version; fail where it is not installed."""
    folder = PROJECTS[version]
    if not (folder / "node_modules" / "hardhat").is_dir():
        pytest.fail(f"Hardhat {version} is not installed: `make deep` does it", pytrace=False)
    return folder


def build_stock_project(version: str, folder: Path) -> Path:
    """Make a project with a Hardhat and an empty configuration."""
    folder.mkdir()
    (folder / "node_modules").symlink_to(require_hardhat_project(version) / "node_modules")
    modern = not version.startswith("2.")
    (folder / "package.json").write_text('{"private": true, "type": "module"}' if modern else "{}")
    (folder / "hardhat.config.js").write_text("export default {};" if modern else "module.exports = {};")
    return folder
