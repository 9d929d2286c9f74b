"""The marks in the model: each arm is reported, and nothing else changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.proof.fuzz import model_branch_coverage
from tests.support.checkout_paths import ROOT

SOURCE = """
def require(condition, reason):
    if not condition:
        raise ValueError(reason)

def both(a, b):
    return a and b

def either(a, b):
    return a or b

def choose(a):
    if a > 10:
        return "many"
    elif a > 1:
        return "some"
    return "one" if a else "none"

def count(items):
    found = 0
    for item in items:
        if item:
            return item
        found += 1
    while found > 5:
        found -= 1
    return found

def pick(items):
    return [item for item in items if item]

def ends(a, b):
    return min(a, b), max(a, b)

def check(a):
    require(a != 0, "none")
    return a

def read(table, key):
    try:
        return table[key]
    except KeyError:
        return None
"""


def run(function, *args):
    """Return the answer of marked code, and the arms that it went through."""
    code, branches = model_branch_coverage.compile_module_with_marks(SOURCE, Path("sample.py"))
    found = model_branch_coverage.BranchMarks(branches)
    scope = found.build_marking_functions_by_name()
    exec(code, scope)
    plain: dict = {}
    exec(SOURCE, plain)
    try:
        answer = scope[function](*args)
    except ValueError as error:
        answer = error
        with pytest.raises(ValueError, match=str(error)):
            plain[function](*args)
    else:
        assert answer == plain[function](*args)
    arms = {f"{b.text}: {b.arm}" for b, mark in zip(branches, found.reached, strict=True) if mark}
    assert found.count_reached_branches() == len(arms)
    assert len(found.list_missing_branches()) == len(branches) - len(arms)
    return arms


@pytest.mark.parametrize(
    ("call", "arms"),
    [
        (("both", 0, 1), {"a: false"}),
        (("both", 2, 0), {"a: true", "b: false"}),
        (("both", 2, 3), {"a: true", "b: true"}),
        (("either", 2, 0), {"a: true"}),
        (("either", 0, 3), {"a: false", "b: true"}),
        (("choose", 11), {"a > 10: true"}),
        (("choose", 2), {"a > 10: false", "a > 1: true"}),
        (("choose", 1), {"a > 10: false", "a > 1: false", "a: true"}),
        (("choose", 0), {"a > 10: false", "a > 1: false", "a: false"}),
        (("count", []), {"items: never entered", "found > 5: never entered"}),
        (("count", [7]), {"items: entered", "item: true"}),
        (("count", [0] * 6), {"items: entered", "item: false", "found > 5: entered"}),
        (("pick", [0, 1]), {"item: true", "item: false"}),
        (("ends", 1, 2), {"min(a, b): the first, a", "max(a, b): the second, b"}),
        (("ends", 2, 1), {"min(a, b): the second, b", "max(a, b): the first, a"}),
        (("ends", 1, 1), {"min(a, b): the first, a", "max(a, b): the first, a"}),
        (("check", 1), {"a != 0: passed"}),
        (("check", 0), {"a != 0: failed"}),
        (("read", {1: 2}, 1), set()),
        (("read", {1: 2}, 3), {"KeyError: caught"}),
    ],
)
def test_each_arm_is_told(call, arms):
    assert run(*call) == arms


def test_a_model_that_is_loaded_already_is_refused():
    import backstop.model.vault_engine  # noqa: F401

    with pytest.raises(BackstopError, match="have to be installed before"):
        model_branch_coverage.install_marked_model_importer()


@pytest.fixture
def small_model(tmp_path, monkeypatch):
    """A model of one file, with its marks in a folder of its own."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "small.py").write_text(SOURCE)
    monkeypatch.setattr(model_branch_coverage, "FOLDER", tmp_path / "model")
    monkeypatch.setattr(model_branch_coverage, "cache_folder", lambda: tmp_path)
    model_branch_coverage._read_or_compile_marked_model.cache_clear()
    yield tmp_path
    model_branch_coverage._read_or_compile_marked_model.cache_clear()


def test_marks_are_made_once_for_all_processes(small_model, monkeypatch):
    made = model_branch_coverage._read_or_compile_marked_model()
    model_branch_coverage._read_or_compile_marked_model.cache_clear()
    monkeypatch.setattr(model_branch_coverage, "_compile_marked_model_modules", None)
    assert model_branch_coverage._read_or_compile_marked_model() == made and made[1]


@pytest.mark.parametrize("left", [0, 100])
def test_half_a_file_of_marks_is_made_again(small_model, left):
    made = model_branch_coverage._read_or_compile_marked_model()
    (kept,) = (small_model / "probes").iterdir()
    kept.write_bytes(kept.read_bytes()[:left])
    model_branch_coverage._read_or_compile_marked_model.cache_clear()
    assert model_branch_coverage._read_or_compile_marked_model() == made


def test_an_edited_model_has_other_marks(small_model):
    before = model_branch_coverage.list_model_branches()
    (small_model / "model" / "small.py").write_text("def ask(a):\n    return 1 if a else 0\n")
    model_branch_coverage._read_or_compile_marked_model.cache_clear()
    assert [branch.arm for branch in model_branch_coverage.list_model_branches()] == [
        "true",
        "false",
    ] and len(before) > 2
    assert len(list((small_model / "probes").iterdir())) == 1


PLAYED = """
from backstop.proof.fuzz import model_branch_coverage
reached = model_branch_coverage.install_marked_model_importer()
from backstop.hosts.host_registry import open_host
from backstop.proof.fuzz.fuzz_run import FuzzRun

assert reached.branches == model_branch_coverage.list_model_branches()
with open_host("revm") as host:
    machine = FuzzRun(host, 5, traces=None)
    opening = reached.count_reached_branches()
    for _ in machine.play_random_steps(200):
        pass
    machine.both.compare_state()
assert 0 < opening < reached.count_reached_branches() < len(reached.branches)
repay = [b for b in reached.branches if b.function == "VaultEngine.repay_and_withdraw"]
assert ("repay != 0", "false") in [(b.text, b.arm) for b in repay]
"""


def test_the_marked_model_still_agrees_with_the_contracts():
    done = subprocess.run([sys.executable, "-c", PLAYED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
