"""Preset files: the settings that they replace or leave, and one line for every mistake."""

from __future__ import annotations

import re
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from backstop.deployment.parameter_dataclasses import (
    DiscountParameters,
    MarginParameters,
    StabilityPoolParameters,
)
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.model.fixed_discount import Terms
from backstop.simulation.scenario import load_scenario, scenario_names
from backstop.simulation.scenario.scenario_records import Scenario
from backstop.studies.comparison.presets import apply_preset, load_preset, load_presets, preset_names
from backstop.studies.comparison.presets.preset_loader import LIBRARY
from backstop.studies.peer_liquidations.aave_v4 import compute_liquidation_bonus
from backstop.studies.peer_liquidations.morpho_blue import compute_incentive_factor
from tests.support.checkout_paths import ROOT
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

OURS = ("by-cycle", "ranked", "shared")
OF_MARGIN = ("bitmex", "by-cycle", "dydx", "hyperliquid", "okex-clawback", "ranked", "shared")
BY_DISCOUNT = ("aave-v3", "aave-v4", "euler-v2", "morpho-blue")
SYSTEMS = ("aave-v3", "aave-v4", "euler-v2", "liquity-v2", "maker-mcd", "morpho-blue")
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
ONLY_SALES = """schema_version: 1
title: A test
description: Sold at a discount.
of_each_type:
  discount: {base_bonus: 7%, close_factor: 50%}
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
    """Return the line of the facilitator that absorbs losses [whole stablecoins]."""
    bears = margin_of(scenario).facilitator
    return next(
        facilitator.line for facilitator in scenario.parameters.facilitators if facilitator.name == bears
    )


def test_the_library_is_complete() -> None:
    aave = {"aave-safety-module", "aave-umbrella"}
    known = {*aave, "backstop", "ccp", "credit-guild", "liquity", "maker", "morpho-lenders"}
    assert set(preset_names("all")) == known
    assert tuple(preset_names("systems")) == SYSTEMS
    assert tuple(preset_names("margin")) == OF_MARGIN
    assert preset_names() == sorted({*known, *SYSTEMS, *OF_MARGIN})
    for group in ("all", "systems", "margin"):
        assert [preset.name for preset in load_presets(group)] == preset_names(group)
    assert len(load_presets("margin,all,systems")) == len(preset_names())


def test_an_old_name_is_refused_with_the_new_one() -> None:
    with pytest.raises(BackstopError) as caught:
        load_presets("maker,morpho")
    assert str(caught.value) == "the preset 'morpho' is called 'morpho-lenders' now"


@pytest.mark.parametrize("name", [*preset_names("all"), *SYSTEMS])
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
    found = {name: load_preset(name).naive_rules for name in preset_names()}
    assert {name: rules for name, rules in found.items() if rules} == {
        "aave-safety-module": ["epoch-caps"],
        "aave-v3": ["partial-sales"],
        "aave-v4": ["partial-sales"],
        "ccp": ["leave-at-once"],
        "credit-guild": ["leave-at-once"],
        "euler-v2": ["leave-at-once", "partial-sales"],
        "liquity-v2": ["instant-pool"],
        "morpho-blue": ["leave-at-once", "partial-sales"],
        "morpho-lenders": ["leave-at-once"],
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
    morpho = load_preset("morpho-blue")
    naive, ours = (apply_preset(morpho, "black-thursday", rule) for rule in ("", "partial-sales"))
    assert naive.parameters.discount_contract == "PartialSaleDiscount"
    assert ours == replace(naive, parameters=replace(naive.parameters, discount_contract="FixedDiscount"))


def test_liquity_repays_vaults_by_pools(tmp_path) -> None:
    """Its own contract with no delay, and ours in its place with the delays of the file."""
    liquity = load_preset("liquity-v2")
    naive, ours = (apply_preset(liquity, "black-thursday", rule) for rule in ("", "instant-pool"))
    assert naive.parameters.stability_pool_contract == "InstantStabilityPool"
    assert ours.parameters == replace(naive.parameters, stability_pool_contract="StabilityPool")
    # Debt in doubt is flagged where members wait.
    assert {group.role for group in ours.keepers} - {group.role for group in naive.keepers} == {"recogniser"}
    for each in naive.parameters.collateral_types:
        assert each.stability_pool == StabilityPoolParameters(entry_delay=6 * 3_600)
        assert (each.liquidation_ratio, each.debt_floor, each.auction.penalty) == (11_000, 2_000, 10_500)
    own = load_scenario("black-thursday").parameters.collateral_types
    assert [replace(each.auction, penalty=11_300) for each in naive.parameters.collateral_types] == [
        each.auction for each in own
    ]
    assert [(each.symbol, each.debt_share) for each in naive.stability_pool_members] == [
        ("ETH", 6_500),
        ("WBTC", 6_500),
        ("XAUT", 6_500),
    ]


@pytest.mark.parametrize(
    ("preset", "kept", "dropped"),
    [("liquity-v2", "stability_pool", "discount"), ("aave-v4", "discount", "stability_pool")],
)
def test_a_system_takes_the_place_of_a_scenarios_mechanism(tmp_path, preset, kept, dropped) -> None:
    own = tmp_path / "own.yaml"
    terms = "stability_pool: {debt_share: 10%}" if dropped == "stability_pool" else "discount: {cursor: 30%, "
    terms += "" if dropped == "stability_pool" else "max_bonus: 10%, target_health: 120%}"
    own.write_text(f"extends: black-thursday\nparameters: {{collateral_types: {{ETH: {{{terms}}}}}}}\n")
    assert getattr(load_scenario(own).parameters.collateral_types[0], dropped) is not None
    laid = apply_preset(load_preset(preset), own)
    assert all(getattr(each, dropped) is None for each in laid.parameters.collateral_types)
    assert all(getattr(each, kept) is not None for each in laid.parameters.collateral_types)
    assert len(laid.stability_pool_members) == (0 if dropped == "stability_pool" else 3)


def test_a_preset_may_change_the_penalty_of_auctions_alone(write) -> None:
    file = write(ONLY_SALES.replace("  discount", "  auction: {penalty: 5%, buf: 110%}\n  discount"))
    with pytest.raises(BackstopError, match="buf: unknown field; known here: penalty"):
        apply_preset(load_preset(file), "black-thursday")


def test_how_each_system_sells_vaults() -> None:
    """The terms of the markets that the files name."""
    terms = {
        name: apply_preset(load_preset(name), "black-thursday").parameters.collateral_types[0]
        for name in BY_DISCOUNT
    }
    assert {name: each.discount for name, each in terms.items()} == {
        "aave-v3": DiscountParameters(
            target_health=0, close_factor=5_000, whole_close_health=9_500, small_position=2_000, fee=1_000
        ),
        "aave-v4": DiscountParameters(
            base_bonus=499, max_bonus=555, full_bonus_health=9_000, target_health=12_400, fee=1_000
        ),
        "euler-v2": DiscountParameters(
            base_bonus=0, max_bonus=0, max_discount=1_500, target_health=0, close_factor=10_000
        ),
        "morpho-blue": DiscountParameters(
            base_bonus=0, max_bonus=1_500, cursor=3_000, target_health=0, close_factor=10_000
        ),
    }
    thresholds = {"aave-v3": 8_300, "aave-v4": 8_300, "euler-v2": 8_600, "morpho-blue": 8_600}
    assert {name: 10**8 // each.liquidation_ratio for name, each in terms.items()} == thresholds
    # One basis point higher, and what debt may be of collateral would be under the market's.
    assert {name: 10**8 // (each.liquidation_ratio + 1) for name, each in terms.items()} == {
        name: threshold - 1 for name, threshold in thresholds.items()
    }
    assert {name: each.debt_floor for name, each in terms.items()} == {
        "aave-v3": 1_000, "aave-v4": 1_000, "euler-v2": 0, "morpho-blue": 0,
    }  # fmt: skip


def test_the_bonus_of_a_system_is_that_of_its_reference_function() -> None:
    """Aave v4 at every health, Morpho Blue at the market's ratio; these are exact to the contracts."""
    v4, morpho = (
        apply_preset(load_preset(name), "black-thursday").parameters.collateral_types[0]
        for name in ("aave-v4", "morpho-blue")
    )
    assert v4.discount is not None and morpho.discount is not None
    terms = Terms(*astuple(v4.discount))
    for health in range(85 * WAD // 100, WAD + 1, WAD // 1_000):
        expected = compute_liquidation_bonus({"in": (9 * WAD // 10, 9_000, health, 10_555)})["out"]
        assert terms.compute_bonus(v4.liquidation_ratio, health) == (expected * WAD // 10_000, WAD)
    factor, unit = Terms(*astuple(morpho.discount)).compute_bonus(morpho.liquidation_ratio, 0)
    assert (factor, unit) == (compute_incentive_factor(86 * WAD // 100), WAD)


def test_a_ratio_and_a_floor_are_lowered_at_most(write, tmp_path) -> None:
    """In any scenario, no vault is unsafe from the start that was safe, and none is too small to open."""
    laid = apply_preset(load_preset("aave-v3"), "black-thursday").parameters.collateral_types
    own = load_scenario("black-thursday").parameters.collateral_types
    assert {each.liquidation_ratio for each in laid} == {12_048}
    assert [each.initial_ratio for each in laid] == [each.initial_ratio for each in own]
    lower = tmp_path / "lower.yaml"
    lower.write_text(
        "extends: black-thursday\nparameters: {collateral_types: {ETH: {liquidation_ratio: 115%}, "
        "WBTC: {debt_floor: 500 stablecoin}}}\n"
    )
    ether, bitcoin, _ = apply_preset(load_preset("aave-v3"), lower).parameters.collateral_types
    assert (ether.liquidation_ratio, ether.debt_floor) == (11_500, 1_000)
    assert (bitcoin.liquidation_ratio, bitcoin.debt_floor) == (12_048, 500)
    higher = load_preset(write(ONLY_SALES.replace("  dis", "  liquidation_ratio: 200%\n  dis")))
    kept = apply_preset(higher, "black-thursday").parameters.collateral_types
    assert [each.liquidation_ratio for each in kept] == [each.liquidation_ratio for each in own]


def test_a_preset_may_say_how_vaults_are_sold_and_nothing_else(write, tmp_path) -> None:
    """Its terms of sales replace all of the scenario's; the order of loss absorption stays."""
    preset = load_preset(write(ONLY_SALES))
    assert (preset.group, preset.naive_rules) == ("systems", [])
    own = tmp_path / "own.yaml"
    own.write_text(
        "extends: black-thursday\nparameters: {collateral_types: {ETH: {discount: "
        "{base_bonus: 2%, max_bonus: 9%, full_bonus_health: 90%, target_health: 120%, fee: 50%}}}}\n"
    )
    laid, scenario = apply_preset(preset, own).parameters, load_scenario(own).parameters
    assert {each.discount for each in laid.collateral_types} == {
        DiscountParameters(base_bonus=700, max_bonus=700, target_health=0, close_factor=5_000)
    }
    assert (laid.stages, laid.discount_contract) == (scenario.stages, "FixedDiscount")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("factor: 50%", "factor: 50", ":5: of_each_type.discount.close_factor: '50' is not"),
        ("close_factor: 50%", "gain: 50%", ":5: of_each_type.discount.gain: unknown field"),
        ("{base_bonus: 7%, close_factor: 50%}", "null", ":1: 'waterfall', 'margin', 'of_each_type"),
        ("of_each", "discount_contract: Pool\nof_each", ":4: discount_contract: 'Pool' is not one of"),
        ("  dis", "  liquidation_ratio: 1.2\n  dis", ":5: of_each_type.liquidation_ratio: '1.2' is not"),
    ],
)
def test_a_mistake_about_sales_is_one_line(write, old, new, problem) -> None:
    assert old in ONLY_SALES
    with pytest.raises(BackstopError) as caught:
        apply_preset(load_preset(write(ONLY_SALES.replace(old, new))), "black-thursday")
    assert f"mine.yaml{problem}" in str(caught.value)
    assert "\n" not in str(caught.value)


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
    """How long a withdrawn profit may come back, the treatment of debtors' lots, and the insurance."""
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
    pages = (ROOT / "docs" / "reference" / name for name in ("presets.md", "margin-presets.md"))
    text = "".join(page.read_text() for page in pages)
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
            "mine.yaml:1: 'waterfall', 'margin', 'of_each_type.auction', 'of_each_type.discount' and ",
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
