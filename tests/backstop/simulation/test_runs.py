"""Run directories: read back as written, and one clear line for what is none."""

from __future__ import annotations

import json
import shutil

import pytest

import backstop
from backstop.errors import BackstopError
from backstop.simulation.run_directory import TABLES, as_json, load_run, plain, write_run


def test_load_run_is_exported() -> None:
    assert backstop.load_run is load_run
    with pytest.raises(AttributeError, match="nonsense"):
        backstop.nonsense  # noqa: B018


def test_the_columns_are_those_of_the_tables(small_run) -> None:
    frames = load_run(small_run).frames
    assert list(frames) == list(TABLES)
    for name, columns in TABLES.items():
        assert list(frames[name].columns) == list(columns)


def test_an_empty_run_can_be_read(tmp_path) -> None:
    write_run(tmp_path / "run", {"schema_version": 1}, {"schema_version": 1}, {}, None)
    assert all(frame.empty for frame in load_run(tmp_path / "run").frames.values())


def test_plain_values() -> None:
    assert plain((1, 2**63, -(2**63), b"\x01", True, None, {"a": (2**64,)})) == [
        1,
        str(2**63),
        -(2**63),
        "0x01",
        True,
        None,
        {"a": [str(2**64)]},
    ]
    assert as_json([2**70, "x"]) == '["1180591620717411303424","x"]'


def test_what_is_no_run_directory(tmp_path, small_run) -> None:
    with pytest.raises(BackstopError, match="there is no run directory"):
        load_run(tmp_path / "none")
    with pytest.raises(BackstopError, match=r"is not a run directory: it has no summary\.json"):
        load_run(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    (copy / "takes.parquet").write_bytes(b"PAR1")
    with pytest.raises(BackstopError, match=r"takes\.parquet cannot be read"):
        load_run(copy)
    (copy / "takes.parquet").unlink()
    with pytest.raises(BackstopError, match=r"is not a whole run: it has no takes\.parquet"):
        load_run(copy)
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps({**summary, "schema_version": 9}))
    with pytest.raises(BackstopError, match="has schema version 9, this program reads 1"):
        load_run(copy)
    (copy / "summary.json").write_text("{")
    with pytest.raises(BackstopError, match=r"summary\.json cannot be read"):
        load_run(copy)


def test_a_place_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackstopError, match="cannot be written"):
        write_run(tmp_path / "file" / "run", {}, {}, {}, None)
