"""A scenario whose parameters do not fit each other is refused, unless that is what it is there to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.simulation.scenario import load_scenario
from backstop.studies.comparison.presets import load_presets
from backstop.studies.comparison.presets.loader import lay_over

UNSAFE = "extends: black-thursday\nparameters:\n  mark_discount: 40%\n"
SAYS_SO = UNSAFE + "unsafe:\n  mark-discount: To see what it does.\n"


def refusal(folder: Path, text: str) -> str:
    (folder / "my.yaml").write_text(text)
    with pytest.raises(BackstopError) as caught:
        load_scenario(folder / "my.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_is_refused_in_one_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, UNSAFE)
    assert said.startswith(
        "my.yaml:2: parameters: do not fit each other: mark-discount: ETH: mark_discount 40%,"
    )
    assert "(and 2 more)" in said and "say so under `unsafe`, as `mark-discount: why`" in said
    assert load_scenario(tmp_path / "my.yaml", fitting=False).parameters.mark_discount == 4_000


def test_it_may_say_that_it_means_it(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(SAYS_SO)
    assert load_scenario(tmp_path / "my.yaml").unsafe == {"mark-discount": "To see what it does."}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SAYS_SO.replace("40%", "10%"), "my.yaml:5: unsafe.mark-discount: is not broken by these parameters"),
        (SAYS_SO.replace("mark-discount", "mark"), "unsafe.mark: 'mark' is no rule that refuses a setting"),
        (SAYS_SO.replace("mark-discount", "exit-window"), "'exit-window' is no rule that refuses"),
        (SAYS_SO.replace("To see what it does.", "''"), "unsafe.mark-discount: gives no reason"),
    ],
)
def test_a_permission_that_is_not_needed_or_has_no_reason(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_what_extends_it_mends_it(tmp_path: Path) -> None:
    """The permission goes with `null`."""
    mended = "extends: usdc-wick\nparameters:\n  mark_discount: 5%\n"
    assert "take it out, or write `null` if the base has it" in refusal(tmp_path, mended)
    (tmp_path / "my.yaml").write_text(mended + "unsafe: {mark-discount: null}\n")
    assert load_scenario(tmp_path / "my.yaml").unsafe == {}


def test_a_study_may_mend_what_its_scenario_breaks(tmp_path: Path) -> None:
    """A preset has a discount of its own, and what it breaks itself it says."""
    preset = tmp_path / "calm.yaml"
    preset.write_text(
        "schema_version: 1\ntitle: Calm\ndescription: Calm.\nwaterfall: {savings: {share: 100%}}\n"
        "mark_discount: 0%\nunsafe: {settlement-epochs: Nobody waits.}\n"
    )
    laid = lay_over(load_presets(str(preset))[0], "usdc-wick")
    assert (laid.parameters.mark_discount, set(laid.unsafe)) == (0, {"mark-discount", "settlement-epochs"})
