"""Preset files: what they replace, what they leave, and one line for every mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backstop.deployment.parameter_dataclasses import MarginParameters
from backstop.errors import BackstopError
from backstop.simulation.scenario import load_scenario, scenario_names
from backstop.simulation.scenario.scenario_records import Scenario
from backstop.studies.comparison.presets import apply_preset, load_preset, load_presets, preset_names
from backstop.studies.comparison.presets.preset_loader import LIBRARY
from tests.support.checkout_paths import ROOT
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

OURS = ("by-cycle", "ranked", "shared")
OF_MARGIN = ("bitmex", "by-cycle", "dydx", "hyperliquid", "okex-clawback", "ranked", "shared")
WITH_MARGIN = ("october-2025-perpetuals", "jelly-squeeze", "oracle-jump")
GOOD = """schema_version: 1
title: A test
description: Two lines
  in one.
waterfall:
  savings: {share: 20%}
  reserve: {share: 50%, amount: 1_000 stablecoin}
pools:
  savings: {cooldown: 0 s}
of_each_type:
  buffer_share: 0%
absent: [recogniser, coverer]
"""


@pytest.fixture
def write(tmp_path):
    def written(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return written


def margin_of(scenario: Scenario) -> MarginParameters:
    assert scenario.parameters.margin is not None
    return scenario.parameters.margin


def line_of(scenario: Scenario) -> int:
    """Of the facilitator that bears losses, whole stablecoins."""
    bears = margin_of(scenario).facilitator
    return next(
        facilitator.line for facilitator in scenario.parameters.facilitators if facilitator.name == bears
    )


def test_the_library_is_complete() -> None:
    aave = {"aave-safety-module", "aave-umbrella"}
    known = {*aave, "backstop", "ccp", "credit-guild", "liquity", "maker", "morpho"}
    assert set(preset_names("all")) == known
    assert tuple(preset_names("margin")) == OF_MARGIN
    assert preset_names() == sorted({*known, *OF_MARGIN})
    for group in ("all", "margin"):
        assert [preset.name for preset in load_presets(group)] == preset_names(group)
    assert len(load_presets("margin,all")) == len(preset_names())


@pytest.mark.parametrize("name", preset_names("all"))
@pytest.mark.parametrize(
    "scenario",
    build_pytest_params_with_deep_marks(
        scenario_names(),
        scenario_names()[4:],
        "tests/backstop/studies/comparison/presets/test_loader.py::test_every_preset_fits_every_scenario",
    ),
)
def test_every_preset_fits_every_scenario(name, scenario) -> None:
    laid, own = apply_preset(load_preset(name), scenario), load_scenario(scenario)
    assert (laid.prices, laid.generated, laid.markets, laid.members) == (
        own.prices,
        own.generated,
        own.markets,
        own.members,
    )
    assert laid.name == own.name
    margin = laid.parameters.margin
    if name == "ccp" and margin is not None:
        # A clearing house has both: its terms of the margin market count where there is one.
        assert (margin.policy, margin.markets) == ("shared", margin_of(own).markets)
    else:
        assert (margin, laid.insurance) == (own.parameters.margin, own.insurance)


@pytest.mark.parametrize("name", OF_MARGIN)
@pytest.mark.parametrize("scenario", WITH_MARGIN)
def test_a_preset_for_the_margin_market_leaves_all_else(name, scenario) -> None:
    laid, own = apply_preset(load_preset(name), scenario), load_scenario(scenario)
    assert (laid.parameters.stages, laid.margin_book) == (own.parameters.stages, own.margin_book)
    others = [group for group in laid.keepers if group.role != "deleverager"]
    assert (others, laid.members) == (list(own.keepers), own.members)
    # Where positions are closed by force somebody does it.
    assert len(others) + (margin_of(laid).policy != "by-cycle") == len(laid.keepers)
    assert margin_of(laid).markets == margin_of(own).markets
    assert line_of(laid) == (line_of(own) if name in OURS else 0)


def test_which_presets_have_naive_rules() -> None:
    """Each of them can be laid over without it: ours stands in its place, and all else stays."""
    found = {name: load_preset(name).naive_rules for name in preset_names("all")}
    assert {name: rules for name, rules in found.items() if rules} == {
        "aave-safety-module": ["epoch-caps"],
        "ccp": ["leave-at-once"],
        "credit-guild": ["leave-at-once"],
        "morpho": ["leave-at-once"],
    }
    guild = load_preset("credit-guild")
    naive, ours = (apply_preset(guild, "black-thursday", rule) for rule in ("", "leave-at-once"))
    for name, days in (("junior", 5), ("savings", 2)):
        before, after = (getattr(each.parameters, name) for each in (naive, ours))
        assert (before.contract, before.cooldown) == ("InstantExitPool", 0)
        assert (after.contract, after.cooldown) == ("Pool", days * 86_400)
    assert "recogniser" in {group.role for group in ours.keepers}
    assert ours.parameters.stages == naive.parameters.stages
    assert apply_preset(guild, "black-thursday") == naive
    event = apply_preset(load_preset("aave-safety-module"), "black-thursday", "epoch-caps")
    assert event.parameters.waterfall_contract == "LossWaterfall"


def test_a_scenario_has_a_naive_rule_on_purpose_only(tmp_path) -> None:
    """It has to say so, as a deployment does; and where leaving takes no time there is no cooldown."""
    path = tmp_path / "mine.yaml"
    pools = "extends: black-thursday\nparameters: {pools: {savings: {cooldown: %s, contract: %s}}}\n"
    for cooldown, contract, problem in (
        ("0 s", "InstantExitPool", "naive-contract: savings: contract InstantExitPool; set it to Pool."),
        ("1 d", "InstantExitPool", "savings.cooldown: InstantExitPool has no cooldown: write 0 s"),
        ("0 s", "Ours", "savings.contract: 'Ours' is not one of: Pool, InstantExitPool"),
    ):
        path.write_text(pools % (cooldown, contract))
        with pytest.raises(BackstopError) as caught:
            load_scenario(path)
        assert problem in str(caught.value) and "\n" not in str(caught.value)


def test_it_needs_a_margin_market() -> None:
    with pytest.raises(BackstopError) as caught:
        apply_preset(load_preset("dydx"), "black-thursday")
    assert str(caught.value) == (
        "the preset 'dydx' is about a margin market, and the scenario 'black-thursday' has none"
    )


def test_what_the_margin_presets_say() -> None:
    """How long a withdrawn profit may come back, what becomes of debtors' lots, what insurance there is."""
    own, said = load_scenario("october-2025-perpetuals"), {}
    for name in (*OF_MARGIN, "ccp"):
        laid = apply_preset(load_preset(name), "october-2025-perpetuals")
        margin = margin_of(laid)
        said[name] = margin.bucket * margin.buckets, margin.policy, laid.insurance, margin.cap
    insured = own.insurance, margin_of(own).cap
    assert said == {
        "dydx": (600, "shared", *insured),
        "bitmex": (600, "ranked", *insured),
        "okex-clawback": (7 * 86_400, "by-cycle", 0, 0),
        "hyperliquid": (600, "ranked", 0, 0),
        "ccp": (600, "shared", *insured),
        **{name: (7 * 86_400, name, *insured) for name in OURS},
    }
    fees = margin_of(apply_preset(load_preset("hyperliquid"), "october-2025-perpetuals"))
    assert (fees.maker_fee, fees.taker_fee, fees.fee_share) == (2, 5, 0)


def test_every_term_of_the_margin_market(write) -> None:
    terms = """schema_version: 1
title: Mine
description: All that can be said.
margin:
  {bucket: 2 h, buckets: 3, insurance: 5 stablecoin, cap: 7 stablecoin, policy: shared,
  line: 9 stablecoin, haircut: 40%, window: 20 min, quiet: 1 min, band: 0.4%, maker_fee: 0.1%,
  taker_fee: 0.2%, fee_share: 3%, third_bond: 6 stablecoin}
"""
    laid = apply_preset(load_preset(write(terms)), "october-2025-perpetuals")
    margin = margin_of(laid)
    assert (margin.bucket, margin.buckets, margin.cap, margin.policy) == (7_200, 3, 7, "shared")
    assert (margin.window, margin.quiet, margin.band, margin.third_bond) == (1_200, 60, 40, 6)
    assert (margin.maker_fee, margin.taker_fee, margin.fee_share) == (10, 20, 300)
    assert laid.insurance == 5 * 10**18
    assert {market.haircut for market in margin.markets} == {4_000}
    assert line_of(laid) == 9
    for old, new, problem in (
        ("buckets: 3", "buckets: 9", "mine.yaml:5: margin.buckets: '9' is too high"),
        ("haircut: 40%", "haircut: 0%", "mine.yaml:6: margin.haircut: '0%' is too low"),
        ("shared", "greedy", "mine.yaml:5: margin.policy: 'greedy' is not one of: by-cycle, ranked, shared"),
        ("cap:", "caps:", "mine.yaml:5: margin.caps: unknown field; known here: bucket, "),
        ("line: 9 stablecoin", "line: 9", "mine.yaml:6: margin.line: '9' is not"),
    ):
        assert old in terms
        with pytest.raises(BackstopError) as caught:
            apply_preset(load_preset(write(terms.replace(old, new))), "october-2025-perpetuals")
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_line_needs_a_facilitator(write, tmp_path) -> None:
    without = tmp_path / "without.yaml"
    without.write_text("extends: october-2025-perpetuals\nparameters: {margin: {facilitator: null}}\n")
    terms = "schema_version: 1\ntitle: x\ndescription: x\nmargin: {line: 5 stablecoin}\n"
    problem = "mine.yaml:4: margin.line: the margin market of the scenario 'without' has no facilitator"
    with pytest.raises(BackstopError, match=problem):
        apply_preset(load_preset(write(terms)), without)
    apply_preset(load_preset("dydx"), without)


def test_every_preset_has_its_paragraph() -> None:
    text = (ROOT / "docs" / "do" / "presets.md").read_text()
    headings = [name.strip() for line in re.findall(r"^### (.+)$", text, re.M) for name in line.split(",")]
    assert {each for each in headings if " " not in each} == set(preset_names())
    for name in preset_names():
        assert re.search(rf"^\| .*`{name}`", text, re.M)


def test_what_a_preset_replaces_and_what_it_leaves(write) -> None:
    laid, own = apply_preset(load_preset(write(GOOD)), "black-thursday"), load_scenario("black-thursday")
    stages = [(stage.name, stage.cap_bps, stage.cap_absolute) for stage in laid.parameters.stages]
    assert stages == [("savings", 2_000, None), ("reserve", 5_000, 1_000 * 10**45)]
    assert laid.parameters.savings.cooldown == 0
    assert {each.buffer_share for each in laid.parameters.collateral_types} == {0}
    assert laid.parameters.epoch_length == own.parameters.epoch_length
    roles = {group.role for group in laid.keepers}
    assert {group.role for group in own.keepers} - roles == {"recogniser", "coverer"}


def test_text_is_on_one_line(write) -> None:
    assert load_preset(write(GOOD)).description == "Two lines in one."


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("schema_version: 1", "schema_version: 2", "mine.yaml:1: schema_version: is not the version 1"),
        ("title: A test\n", "", "mine.yaml:1: 'title' is missing"),
        ("absent:", "missing:", "mine.yaml:12: missing: unknown field; known here: "),
        ("coverer]", "nobody]", "mine.yaml:12: absent[1]: 'nobody' is not one of: accruer, "),
        ("buffer_share", "fee", "mine.yaml:11: of_each_type.fee: unknown field; known here: buffer_share"),
        ("  savings: {share: 20%}", "  saving: {share: 20%}", "mine.yaml:6: waterfall.saving: unknown field"),
        ("share: 20%", "share: 20", "mine.yaml:6: waterfall.savings.share: '20' is not a ratio"),
        ("cooldown: 0 s", "vesting: 0 s", "mine.yaml:9: pools.savings.vesting: '0 s' is too low"),
        ("cooldown: 0 s", "cooldown: 400 d", "mine.yaml:9: pools.savings.cooldown: '400 d' is too high"),
        ("cooldown: 0 s", "window: 2 d", "mine.yaml:9: pools.savings.window: unknown field"),
        ("waterfall:", "waterfall: {}\nx:", "mine.yaml:6: x: unknown field"),
        (
            "waterfall:\n  savings: {share: 20%}\n  reserve: {share: 50%, amount: 1_000 stablecoin}\n",
            "",
            "mine.yaml:1: 'waterfall' is missing, or 'margin'",
        ),
    ],
)
def test_a_mistake_is_one_line(write, old, new, problem) -> None:
    assert old in GOOD
    with pytest.raises(BackstopError) as caught:
        apply_preset(load_preset(write(GOOD.replace(old, new))), "black-thursday")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_are_readable() -> None:
    """Short, and every stage that is in the order by its name."""
    for name in preset_names():
        assert len((LIBRARY / f"{name}.yaml").read_text().splitlines()) <= 40
