"""Run directories: read back as written, and one clear line for any other directory."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest
from pyarrow.parquet import ParquetFile

import backstop
from backstop.errors import BackstopError
from backstop.files.atomic_files import write_long_json
from backstop.simulation import run_directory
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.simulation.run_directory import (
    ROW_GROUP,
    TABLES,
    format_single_line_json,
    hash_run_files,
    load_run,
    to_json_value,
    write_run,
)
from backstop.simulation.run_recorder import RunRecorder
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.support.keeper_scenario import SMALL

BRIEF = "tests/backstop/simulation/test_runs.py::test_a_long_table_is_written_in_parts_and_read_as_one"


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
    write_run(tmp_path / "run", {"schema_version": 2}, {"schema_version": 2}, {}, None)
    assert all(frame.empty for frame in load_run(tmp_path / "run").frames.values())


def test_a_long_table_is_written_in_parts_and_read_as_one(tmp_path) -> None:
    rows = [
        (step, 5 * step, "Market", "name", (2**70, step), "0x1", "", step % 2 == 0, None, None)
        for step in range(2 * ROW_GROUP + 1)
    ]
    write_run(tmp_path, {"schema_version": 2}, {"schema_version": 2}, {"actions": rows}, None)
    assert ParquetFile(tmp_path / "actions.parquet").num_row_groups == 3
    frame = load_run(tmp_path).frames["actions"]
    assert list(frame["step"]) == list(range(len(rows)))
    assert list(frame["args"]) == [format_single_line_json(row[4]) for row in rows]
    assert list(frame["ok"]) == [row[7] for row in rows]


def small(out: Path, spool: bool, last: int = 10**9) -> None:
    """Run the small crash, and stop it when it asks for the `last` time whether to."""
    asked = itertools.count()
    simulate(load_scenario(SMALL), "model", 1, out, spool=spool, stop=lambda: next(asked) == last)


@pytest.mark.deep(brief=BRIEF)
def test_tables_that_are_written_as_the_run_goes_are_the_same(tmp_path, monkeypatch) -> None:
    """The tables of a whole run and of an interrupted one."""
    monkeypatch.setattr(run_directory, "ROW_GROUP", 7)
    for spool in (False, True):
        small(tmp_path / f"whole-{spool}", spool)
        with pytest.raises(RunInterruptedError):
            small(tmp_path / f"interrupted-{spool}", spool, last=30)
    for name in ("whole", "interrupted"):
        one, other = tmp_path / f"{name}-False", tmp_path / f"{name}-True"
        assert ParquetFile(other / "actions.parquet").num_row_groups > 1
        assert hash_run_files(one) == hash_run_files(other) is not None
        assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}


def test_a_crash_of_our_own_leaves_no_part_of_a_table(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(run_directory, "ROW_GROUP", 7)
    monkeypatch.setattr(RunRecorder, "record_block", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        small(tmp_path / "run", True)
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize("items", [[], [1], ["a\n", {"b": [None, "\u2028"]}, []]], ids=len)
def test_a_long_list_is_written_a_line_each(items, tmp_path) -> None:
    write_long_json({"seed": 1}, "steps", iter(items), tmp_path / "long")
    text = (tmp_path / "long").read_text()
    assert json.loads(text) == {"seed": 1, "steps": items}
    assert len(text.splitlines()) == (len(items) + 5 if items else 4)


def test_plain_values() -> None:
    assert to_json_value((1, 2**63, -(2**63), b"\x01", True, None, {"a": (2**64,)})) == [
        1,
        str(2**63),
        -(2**63),
        "0x01",
        True,
        None,
        {"a": [str(2**64)]},
    ]
    assert format_single_line_json([2**70, "x"]) == '["1180591620717411303424","x"]'


def test_what_is_no_run_directory(tmp_path, small_run) -> None:
    with pytest.raises(BackstopError, match=r"^run directory .* not found"):
        load_run(tmp_path / "none")
    with pytest.raises(BackstopError, match=r"is not a run directory: it has no summary\.json"):
        load_run(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    (copy / "takes.parquet").write_bytes(b"PAR1")
    with pytest.raises(BackstopError, match=r"takes\.parquet cannot be read"):
        load_run(copy)
    (copy / "takes.parquet").unlink()
    with pytest.raises(BackstopError, match=r"is not a valid run: it has no takes\.parquet"):
        load_run(copy)
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps({**summary, "schema_version": 9}))
    with pytest.raises(BackstopError, match="has schema version 9, this program reads 2"):
        load_run(copy)
    (copy / "summary.json").write_text("{")
    with pytest.raises(BackstopError, match=r"summary\.json cannot be read"):
        load_run(copy)


def test_a_place_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackstopError, match="cannot be written"):
        write_run(tmp_path / "file" / "run", {}, {}, {}, None)
