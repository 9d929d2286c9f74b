"""An old rule is put back into a copy, and the attack's effects there and here are reported."""

import pytest

from backstop.errors import BackstopError
from backstop.proof import reverted_fixes
from backstop.proof.reverted_fixes import AttackResult, explain_patch_failure, replay_attacks_on_both_rules

IDLE = "test_idle_years_are_charged_wrongly"


@pytest.mark.deep(
    brief="tests/style/test_reverted_fixes.py::test_it_applies_to_the_rules_alone_and_belongs_to_an_attack"
)
def test_an_attack_succeeds_on_its_old_rule_alone():
    (played,) = replay_attacks_on_both_rules([IDLE])
    assert played.is_possible_only_before_fix
    assert "10768.91 of 10,000; repaid at once it is 10250.00" in "".join(played.figures)


def test_a_test_may_have_spaces_in_its_name():
    told = "FAILED tests/exploits/test_x.py::test_y[an hour] - assert 1 == 0\nFAILED a.py::test_z - E - F\n"
    assert reverted_fixes._FAILED.findall(told) == [("test_y[an hour]", "assert 1 == 0"), ("test_z", "E - F")]


def test_only_an_attack_that_needs_the_old_rule_shows_it():
    assert AttackResult("a", True, ("b",)).is_possible_only_before_fix
    assert not AttackResult("a", False, ("b",)).is_possible_only_before_fix
    assert not AttackResult("a", True, ()).is_possible_only_before_fix
    assert not AttackResult("a", True, ("b",), "it cannot be played").is_possible_only_before_fix


@pytest.mark.parametrize(
    ("failure", "is_stale"),
    [
        ("NameError: name 'each' is not defined", True),
        ("backstop.errors.BackstopError: LiquidationEngine.vy does not compile:", True),
        ("AssertionError: assert 1 == 0", False),
    ],
)
def test_a_patch_of_older_names_shows_no_attack(tmp_path, monkeypatch, failure, is_stale):
    """Such a failure passed for an attack that succeeds."""
    (tmp_path / "tests/exploits").mkdir(parents=True)
    (tmp_path / "tests/exploits/a.py").touch()
    told = iter(
        [(reverted_fixes.PASSED, ""), (reverted_fixes.TESTS_FAILED, f"FAILED a.py::test_x - {failure}\n")]
    )
    monkeypatch.setattr(reverted_fixes, "_get_pytest_code_and_output", lambda *arguments: next(told))
    monkeypatch.setattr(reverted_fixes, "_get_git_error", lambda *arguments: "")
    played = reverted_fixes._replay_attack_on_both_rules(tmp_path, "a", "revm")
    assert played.figures == (f"test_x: {failure}",)
    assert bool(played.trouble) is is_stale
    assert played.is_possible_only_before_fix is not is_stale


def test_a_rule_that_is_not_kept_is_one_line():
    with pytest.raises(
        BackstopError,
        match=r"^reverted fix nonsense is unknown; expected one of .*reverted-fixes\.md lists them",
    ):
        reverted_fixes.list_reverted_fixes(["nonsense"])


def test_a_patch_of_other_lines_does_not_apply(tmp_path, monkeypatch):
    monkeypatch.setattr(reverted_fixes, "PATCHES", tmp_path)
    whole = (reverted_fixes.ATTACKS / "reverted_fixes" / f"{IDLE}.patch").read_text()
    (tmp_path / "test_other.patch").write_text(whole.replace("-    elapsed", "-    lapsed"))
    assert explain_patch_failure("test_other").startswith("error: ")
