"""The count of names that say too little: it flags what it should, and fails where it rises."""

import importlib.util
from pathlib import Path

from tests.support.checkout_paths import ROOT

_FILE = ROOT / "tools" / "names" / "count.py"


def load_count():
    spec = importlib.util.spec_from_file_location("count_names", _FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_rule_flags_its_own_mistake(tmp_path: Path, monkeypatch) -> None:
    count = load_count()
    monkeypatch.setattr(count, "ROOT", tmp_path)
    file = tmp_path / "borne.py"
    file.write_text(
        "def pay(): ...\n"
        "def reserve_of(owner): ...\n"
        "def chosen_path(c): ...\n"
        "def describe_call(outcome): ...\n"
        "def describe_batch(id): ...\n"
        "class Stage:\n"
        "    @property\n"
        "    def size(self): ...\n"
    )
    flags = {(flag.rule, flag.name) for flag in count.iter_flags("backstop.borne", file)}
    assert flags == {
        ("module", "backstop.borne"),
        ("one-word", "backstop.borne.pay"),
        ("trailing-preposition", "backstop.borne.reserve_of"),
        ("leading-participle", "backstop.borne.chosen_path"),
        ("one-letter-parameter", "backstop.borne.chosen_path(c)"),
        ("shadowed-builtin", "backstop.borne(id)"),
    }


def test_a_count_that_rises_is_one_line() -> None:
    count = load_count()
    limits = dict.fromkeys(count.RULES, 5)
    assert count.check_counts(limits, limits) == []
    (line,) = count.check_counts(limits | {"one-word": 6}, limits)
    assert "one-word: 6 names are flagged, expected at most 5" in line
