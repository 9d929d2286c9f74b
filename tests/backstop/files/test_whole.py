"""Files are replaced whole, and stay so over a power cut."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

from backstop.files.atomic_files import (
    replace_file,
    write_bytes,
    write_files,
    write_json,
    write_long_json,
    write_text,
)
from tests.support.checkout_paths import ROOT

WRITERS = {
    "text": lambda path: write_text("content", path),
    "bytes": lambda path: write_bytes(b"content", path),
    "json": lambda path: write_json({"a": 1}, path),
    "long json": lambda path: write_long_json({"a": 1}, "items", [1, 2], path),
    "files": lambda path: write_files(path.parent, {path.name: "content"}),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_content_is_on_the_disk_before_its_name_and_the_name_before_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write
) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    events: list[tuple[str, str, bytes]] = []
    sync, replace = os.fsync, os.replace

    def watched_sync(number: int) -> None:
        name = os.readlink(f"/proc/self/fd/{number}")
        events.append(("sync", name, Path(name).read_bytes() if Path(name).is_file() else b""))
        sync(number)

    def watched_replace(part: Path, target: Path) -> None:
        events.append(("replace", str(part), path.read_bytes()))
        replace(part, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write(path)
    (first, part, synced), (second, moved, before), (third, folder, _) = events
    assert (first, second, third) == ("sync", "replace", "sync")
    assert part == moved and folder == str(tmp_path)
    assert before == b"old" and synced == path.read_bytes() != b""
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_every_replacement_goes_through_one_function() -> None:
    found = set()
    for path in (ROOT / "offchain").rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if re.search(r"\.(replace|rename)\(", text) else ():
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of_os = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
            one_argument = len(node.args) == 1 and not node.keywords
            if node.func.attr in ("replace", "rename") and (of_os or one_argument):
                found.add(path.relative_to(ROOT / "offchain/backstop").as_posix())
    # A whole folder of a test that kills processes; it is made again if it is missing.
    assert found == {"files/atomic_files.py", "live/chaos/crash_recovery.py"}


def test_a_replacement_without_a_part_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "missing", path)
    assert path.read_text() == "old"
