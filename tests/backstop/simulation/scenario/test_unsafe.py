"""A scenario with parameters that break a rule is refused, unless it declares that as its purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.simulation.scenario import load_scenario
from backstop.studies.comparison.presets import load_presets
from backstop.studies.comparison.presets.preset_loader import apply_preset

PENALTIES = "collateral_types: {ETH: {auction: {penalty: 60%}}, WBTC: {auction: {penalty: 60%}}}"
UNSAFE = f"extends: black-thursday\nparameters:\n  {PENALTIES}\n"
SAYS_SO = UNSAFE + "unsafe:\n  penalty: To see what it does.\n"


def refusal(folder: Path, text: str) -> str:
    (folder / "my.yaml").write_text(text)
    with pytest.raises(BackstopError) as caught:
        load_scenario(folder / "my.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_is_refused_in_one_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, UNSAFE)
    assert said.startswith(
        "my.yaml:2: parameters: do not fit each other: penalty: ETH: auction.penalty 160%,"
    )
    assert "(and 1 more)" in said and "say so under `unsafe`, as `penalty: why`" in said
    kept = load_scenario(tmp_path / "my.yaml", fitting=False).parameters
    assert kept.collateral_types[0].auction.penalty == 16_000


def test_it_may_say_that_it_means_it(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(SAYS_SO)
    assert load_scenario(tmp_path / "my.yaml").unsafe == {"penalty": "To see what it does."}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SAYS_SO.replace("60%", "10%"), "my.yaml:5: unsafe.penalty: is not broken by these parameters"),
        (
            SAYS_SO.replace("penalty: To", "fine: To"),
            "unsafe.fine: 'fine' is not a rule that refuses a setting",
        ),
        (SAYS_SO.replace("penalty: To", "exit-window: To"), "'exit-window' is not a rule that refuses"),
        (SAYS_SO.replace("To see what it does.", "''"), "unsafe.penalty: gives no reason"),
    ],
)
def test_a_permission_that_is_not_needed_or_has_no_reason(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_what_extends_it_mends_it(tmp_path: Path) -> None:
    """The permission goes with `null`."""
    (tmp_path / "base.yaml").write_text(SAYS_SO)
    mended = f"extends: base.yaml\nparameters:\n  {PENALTIES.replace('60%', '10%')}\n"
    assert "take it out, or write `null` if the base has it" in refusal(tmp_path, mended)
    (tmp_path / "my.yaml").write_text(mended + "unsafe: {penalty: null}\n")
    assert load_scenario(tmp_path / "my.yaml").unsafe == {}


def test_a_study_may_break_what_its_scenario_does_not(tmp_path: Path) -> None:
    """A preset has terms of its own, and declares the rules that it breaks; the scenario's reasons stay."""
    (tmp_path / "base.yaml").write_text(SAYS_SO)
    preset = tmp_path / "calm.yaml"
    preset.write_text(
        "schema_version: 1\ntitle: Calm\ndescription: Calm.\nwaterfall: {savings: {share: 100%}}\n"
        "cap_delay: 40 d\nunsafe: {settlement-epochs: Nobody waits.}\n"
    )
    laid = apply_preset(load_presets(str(preset))[0], str(tmp_path / "base.yaml"))
    assert laid.parameters.cap_delay == 40 * 86_400
    assert set(laid.unsafe) == {"penalty", "settlement-epochs"}
