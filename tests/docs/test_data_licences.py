"""Each data file belongs to one row of the page of data licences."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatch

from tests.support.checkout_paths import ROOT

PAGE = ROOT / "docs" / "reference" / "data-licences.md"
DATA = re.compile(r"\.(csv|gz|parquet|json)$")
PLACES = ("docs/", "offchain/", "tests/data/", "tests/regression/", "tests/benchmarks/")
SETTINGS = ("docs/how-to/watching/grafana.json",)


def list_data_files():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split() if DATA.search(path) and path.startswith(PLACES)]


def test_each_data_file_has_one_licence():
    rows = [
        re.findall(r"`([^`]+)`", line.split("|")[1])
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    files = [path for path in list_data_files() if path not in SETTINGS]
    assert len(files) > 80
    for path in files:
        # A file of its own name is not one of its folder's pattern.
        exact = [row for row in rows if path in row]
        found = exact or [row for row in rows if any(match_path(path, pattern) for pattern in row)]
        assert len(found) == 1, path


def match_path(path, pattern):
    """Return whether a path matches; `*` stands for one name, `**` for any."""
    return fnmatch(path, pattern) and (pattern.endswith("**") or path.count("/") == pattern.count("/"))


def test_each_pattern_has_a_file():
    cells = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    for pattern in re.findall(r"`([^`]+)`", " ".join(cells)):
        assert any(match_path(path, pattern) for path in list_data_files()), pattern
