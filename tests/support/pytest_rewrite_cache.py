"""Test files as pytest rewrites them, made once: else each worker rewrites all of them at the same time."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from _pytest.assertion import rewrite


def cache_pytest_rewritten_files(test_files: Iterable[Path], config: pytest.Config) -> None:
    """Write pytest's rewritten files to its cache folder; existing files stay."""
    if sys.dont_write_bytecode:
        return
    state = config.stash[rewrite.assertstate_key]
    for file in test_files:
        folder = rewrite.get_cache_dir(file)
        written = folder / (file.stem + rewrite.PYC_TAIL)
        if rewrite.try_makedirs(folder) and rewrite._read_pyc(file, written) is None:
            stat, code = rewrite._rewrite_test(file, config)
            rewrite._write_pyc(state, code, stat, written)
