"""An old rule is put back into a copy, and what the attack does there and here is told."""

import pytest

from backstop.errors import BackstopError
from backstop.proof import old_rules
from backstop.proof.old_rules import Played, applies, play

IDLE = "test_idle_years_are_charged_wrongly"


@pytest.mark.deep(
    brief="tests/style/test_old_rules.py::test_it_applies_to_the_rules_alone_and_belongs_to_an_attack"
)
def test_an_attack_succeeds_on_its_old_rule_alone():
    (played,) = play([IDLE])
    assert played.shows
    assert "10768.91 of 10,000; repaid at once it is 10250.00" in "".join(played.figures)


def test_a_test_may_have_spaces_in_its_name():
    told = "FAILED tests/exploits/test_x.py::test_y[an hour] - assert 1 == 0\nFAILED a.py::test_z - E - F\n"
    assert old_rules._FAILED.findall(told) == [("test_y[an hour]", "assert 1 == 0"), ("test_z", "E - F")]


def test_only_an_attack_that_needs_the_old_rule_shows_it():
    assert Played("a", True, ("b",)).shows
    assert not Played("a", False, ("b",)).shows
    assert not Played("a", True, ()).shows
    assert not Played("a", True, ("b",), "it cannot be played").shows


def test_a_rule_that_is_not_kept_is_one_line():
    with pytest.raises(BackstopError, match="^no old rule nonsense: choose of .*" + IDLE):
        old_rules.old_rules(["nonsense"])


def test_a_patch_of_other_lines_does_not_apply(tmp_path, monkeypatch):
    monkeypatch.setattr(old_rules, "PATCHES", tmp_path)
    whole = (old_rules.ATTACKS / "old_rules" / f"{IDLE}.patch").read_text()
    (tmp_path / "test_other.patch").write_text(whole.replace("-    elapsed", "-    lapsed"))
    assert applies("test_other").startswith("error: ")
