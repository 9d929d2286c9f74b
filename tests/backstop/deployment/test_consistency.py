"""The table of parameter rules: each can be broken, names its cause, and holds for packaged settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, fields, is_dataclass, replace
from random import Random
from typing import Any, cast

import pytest

from backstop.contract_base import RevertError
from backstop.deployment.contracts_by_parameter_name import MARGIN_POLICIES
from backstop.deployment.example_parameters import (
    build_backed_margin_parameters,
    build_guarded_parameters,
    build_margin_parameters,
    build_standard_parameters,
)
from backstop.deployment.parameter_dataclasses import (
    BackstopParameters,
    DiscountParameters,
    MarginParameters,
    Parameters,
    StabilityPoolParameters,
    StageParameters,
    TimelockParameters,
)
from backstop.deployment.parameter_rules import (
    DOUBTFUL,
    REFUSED,
    RULES,
    check_parameters,
    list_refused_findings,
)
from backstop.model.arithmetic import RAY
from backstop.model.fixed_discount import Terms
from backstop.proof.fuzz.parameter_generator import draw_parameters
from backstop.studies.self_hedge.pair_market import ALLOWED

HOUR, DAY = 3_600, 86_400
WETH = "collateral_types.0"
AUCTION, FEED, POLICY = f"{WETH}.auction", f"{WETH}.feed", f"{WETH}.policy"
MARKET, POOL, TERMS = "margin.markets.0", "savings", "guards.workouts.0"


DISCOUNT = DiscountParameters(
    base_bonus=200, max_bonus=400, full_bonus_health=9_000, target_health=12_400, fee=1_000
)
FACTOR = DiscountParameters(target_health=0, close_factor=5_000, small_position=4_000)
STABILITY_POOL = StabilityPoolParameters(reward=250)
POOLED = {"margin.backstop": BackstopParameters()}

# As calls and the size of vaults ask for, and where a quarter of a debt is sold at a bonus of 2%.
LEAST_TARGET, LEAST_FOR_A_QUARTER = 11_242, 10_989

# Rule -> what of a good setting breaks it.
BREAKS: Mapping[str, Mapping[str, Any]] = {
    "auction-reaches-market": {f"{AUCTION}.period": 600, f"{AUCTION}.tail": 7_200},
    "block-time": {"block_time": 60, f"{AUCTION}.tail": 1_710},
    "penalty": {f"{AUCTION}.penalty": 14_500},
    "liquidation-ratio": {f"{WETH}.liquidation_ratio": 10_300},
    "initial-ratio": {f"{WETH}.initial_ratio": 14_500},
    "redistribution": {"stages": (StageParameters("redistribution"),)},
    "reward-of-the-smallest": {f"{AUCTION}.tip": 261},
    "discount-bonus": {f"{WETH}.discount": replace(DISCOUNT, max_bonus=4_500)},
    "discount-target": {f"{WETH}.discount": replace(DISCOUNT, target_health=LEAST_TARGET - 1)},
    "discount-of-the-smallest": {f"{WETH}.discount": replace(DISCOUNT, max_bonus=277)},
    "small-position": {f"{WETH}.discount": replace(FACTOR, small_position=3_999)},
    "share-sold": {f"{WETH}.discount": replace(DISCOUNT, target_health=LEAST_FOR_A_QUARTER - 1)},
    "stability-pool-penalty": {f"{WETH}.stability_pool": replace(STABILITY_POOL, penalty=4_500)},
    "pool-reward-of-the-smallest": {f"{WETH}.stability_pool": replace(STABILITY_POOL, reward=1)},
    "pool-entry-delay": {f"{WETH}.stability_pool": replace(STABILITY_POOL, entry_delay=299)},
    "pool-cooldown": {f"{WETH}.stability_pool": replace(STABILITY_POOL, cooldown=300)},
    "write-off": {f"{WETH}.stability_pool": replace(STABILITY_POOL, has_write_off=True), "stages": ()},
    "quorum": {f"{FEED}.reporters": 5},
    "silent-reporter": {f"{FEED}.reporters": 3},
    "stale-after": {f"{FEED}.stale_after": 2 * 300 - 1},
    "report-age": {f"{FEED}.max_age": 299},
    "old-reports": {f"{FEED}.max_age": 4 * HOUR + 1},
    "dead-after": {f"{FEED}.dead_after": 4 * HOUR - 1},
    "grace": {f"{FEED}.grace": 4 * HOUR + 1},
    "average-window": {f"{FEED}.window": 299},
    "confirmations": {f"{FEED}.deviation": 1_000, f"{FEED}.stale_after": 599, f"{FEED}.confirmations": 1},
    "settlement-epochs": {"settlement.epochs": 1, "equity.duration": 7 * DAY},
    "settlement-delay": {"settlement.delay": 2 * DAY},
    "cooldown": {f"{POOL}.cooldown": 2 * HOUR - 1},
    "small-fall": {f"{WETH}.liquidation_ratio": 10_526},
    "time-to-flag": {f"{FEED}.stale_after": 599},
    "cap-delay": {"cap_delay": 3 * DAY - 1},
    "vesting": {f"{POOL}.vesting": 2 * DAY - 1},
    "stage-cap": {"stages.1.cap_bps": 0},
    "mint-cap": {"equity.mint_cap": 0},
    "equity-floor": {"equity.floor": 9_001},
    "naive-contract": {"savings.contract": "InstantExitPool", "waterfall_contract": "CalendarCapWaterfall"},
    "token-unit": {f"{WETH}.decimals": 3},
    "auction-limit": {"guards.emergency_factor": 100, f"{WETH}.auction_limit": 200_000},
    "ceiling-and-floor": {f"{WETH}.debt_ceiling": 1_999},
    "global-ceiling": {"global_debt_ceiling": 49_999_999},
    "auction-rounds": {f"{WETH}.auction_limit": 499_999},
    "automatic-ceiling": {"guards.ceilings.0.gap": 1_999},
    "flow-cap": {f"{POLICY}.flow_cap": 1_999},
    "workout-cap": {f"{TERMS}.cap": 10_000_000 - 2_000},
    "call-grace": {f"{POLICY}.call_grace": 599},
    "call-valid": {f"{POLICY}.call_valid": 300},
    "fee-line": {f"{POLICY}.line": 50_000_001},
    "calm-period": {"guards.breaker.calm_period": 7_199},
    "silence": {f"{FEED}.dead_after": 21_599},
    "funding": {f"{MARKET}.max_funding": 1_000},
    "lot": {f"{MARKET}.lot": 10**6 - 1},
    "insurance": {"margin.income_share": 1},
    "insured": {f"{MARKET}.insured": 1_999},
    "marked-margin": {f"{MARKET}.initial": 1_057},
    "taker-fee": {"margin.taker_fee": 5},
    "self-made-pair": {f"{MARKET}.initial": 1_787},
    "fees-alike": {"margin.maker_fee": 14},
    "band": {"margin.band": 251},
    "mark-age": {"margin.mark_age": 301, f"{FEED}.max_age": 300},
    "quiet": {"margin.quiet": 23},
    "bond": {"margin.third_bond": 34},
    "vesting-and-cycles": {"margin.bucket": 3_599, "margin.buckets": 4},
    "quotes-in-the-band": {**POOLED, "margin.backstop.spread": 50},
    "spread-and-fee": {**POOLED, "margin.backstop.spread": 14},
    "leverage-and-margin": {**POOLED, "margin.backstop.leverage": 100_000},
    "notice-and-cycles": {**POOLED, "margin.backstop.notice": 4 * HOUR - 1},
    "timelock-delay": {"timelock.delay": 3 * DAY - 1},
    "retraction": {"timelock.retraction": DAY},
    "timelock-and-cycles": {"timelock.delay": 5 * HOUR, "margin.window": HOUR},
}


def changed(record: Any, path: str, value: Any) -> Any:
    """A record with another value at a path."""
    name, _, rest = path.partition(".")
    if isinstance(record, tuple):
        place = int(name)
        new = changed(record[place], rest, value) if rest else value
        return (*record[:place], new, *record[place + 1 :])
    assert is_dataclass(record) and name in {field.name for field in fields(record)}
    new = changed(getattr(record, name), rest, value) if rest else value
    return replace(cast(Any, record), **{name: new})


@pytest.fixture(scope="module")
def good() -> Parameters:
    """Return parameters with every component, and without a finding."""
    margin, facilitators = build_margin_parameters().margin, build_margin_parameters().facilitators
    assert isinstance(margin, MarginParameters)
    setting: Any = replace(
        build_guarded_parameters(), margin=margin, facilitators=facilitators, timelock=TimelockParameters()
    )
    for i in range(2):
        setting = changed(setting, f"collateral_types.{i}.feed.step", 300)
    for pool in ("junior", "senior", "savings", "staked_equity"):
        setting = changed(setting, f"{pool}.cooldown", 2 * DAY)
    assert isinstance(setting, Parameters)
    return setting


@pytest.mark.parametrize("policy", MARGIN_POLICIES)
def test_a_good_setting_has_nothing_to_be_said_against_it(good: Parameters, policy: str) -> None:
    setting = changed(good, "margin.policy", policy)
    assert list(map(str, check_parameters(setting))) == []


def test_nor_has_one_with_a_pool(good: Parameters) -> None:
    setting = changed(good, "margin.backstop", BackstopParameters())
    assert list(map(str, check_parameters(setting))) == []


@pytest.mark.parametrize("discount", [DISCOUNT, FACTOR, DiscountParameters()])
def test_nor_has_one_with_a_discount(good: Parameters, discount: DiscountParameters) -> None:
    setting = changed(good, f"{WETH}.discount", discount)
    assert list(map(str, check_parameters(setting))) == []


def test_nor_has_one_with_a_stability_pool(good: Parameters) -> None:
    setting = changed(good, f"{WETH}.stability_pool", STABILITY_POOL)
    assert list(map(str, check_parameters(setting))) == []


def test_every_rule_has_a_setting_that_breaks_it() -> None:
    assert list(BREAKS) == [rule.name for rule in RULES]


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_a_rule(good: Parameters, name: str) -> None:
    """A broken rule is found by its name, with the parameters, their values and the value to set instead."""
    setting: Any = good
    for path, value in BREAKS[name].items():
        setting = changed(setting, path, value)
    # One rule asks nothing without prices.
    prices = {"WETH": 2_000 * RAY} if name == "insured" else {}
    found = [each for each in check_parameters(setting, prices) if each.rule.name == name]
    assert found
    for each in found:
        assert all(f"{parameter} " in str(each) for parameter in each.rule.relates)
        assert each.misfit.instead in str(each)
        assert "\n" not in str(each)


def test_what_may_be_open_is_insured_by_its_limit_or_by_the_market_itself(good: Parameters) -> None:
    """250,000 lots at 20 need a million, as much as is spent in a day, which all markets share."""
    prices = {"WETH": 2_000 * RAY, "WBTC": 60_000 * RAY}

    def left(**values: int) -> list[str]:
        setting: Any = changed(good, "margin.markets.1.insured", 2_000)
        for name, value in values.items():
            setting = changed(setting, name.replace("__", "."), value)
        return [
            each.misfit.place for each in check_parameters(setting, prices) if each.rule.name == "insured"
        ]

    assert left() == ["WETH"]
    assert left(margin__markets__0__insured=2_000) == []
    assert left(margin__markets__0__open_limit=250_000) == []
    assert left(margin__markets__0__open_limit=250_001) == ["WETH"]
    assert left(margin__markets__0__open_limit=250_000, margin__cap=999_999) == ["WETH"]
    both = {"margin__markets__0__open_limit": 250_000, "margin__markets__1__insured": 0}
    assert left(**both, margin__markets__1__open_limit=1) == ["WETH", "WBTC"]


def test_the_least_margin_of_the_study_is_the_least_that_is_accepted(good: Parameters) -> None:
    """A basis point less is refused: see BREAKS."""
    assert BREAKS["self-made-pair"] == {f"{MARKET}.initial": ALLOWED - 1}
    setting = changed(good, f"{MARKET}.initial", ALLOWED)
    assert "self-made-pair" not in [each.rule.name for each in check_parameters(setting)]


@pytest.mark.parametrize(
    "example",
    [
        build_standard_parameters,
        build_guarded_parameters,
        build_margin_parameters,
        build_backed_margin_parameters,
    ],
)
def test_no_example_is_refused(example) -> None:
    assert list_refused_findings(example()) == []


def test_a_price_is_the_scenarios_or_the_worst() -> None:
    """A unit of a token with 4 decimals is worth 10 coins at 100,000 a token, and nothing at 2,000."""
    setting = changed(changed(build_standard_parameters(), f"{WETH}.decimals", 4), f"{WETH}.debt_floor", 999)
    assert [found.rule.name for found in list_refused_findings(setting)] == ["token-unit"]
    assert list_refused_findings(setting, {"WETH": 2_000 * 10**27}) == []


def test_any_setting_has_a_verdict() -> None:
    """The fuzzer's parameters are far from a deployable setting, and every finding can still be printed."""
    random = Random(1)
    for _ in range(200):
        for found in check_parameters(draw_parameters(random)):
            assert found.rule.verdict in (REFUSED, DOUBTFUL) and str(found)


def list_broken_rules(setting: Any, discount: DiscountParameters | None, **values: Any) -> list[str]:
    """The rules that the ether of a setting breaks with a discount, and with other values."""
    setting = changed(setting, f"{WETH}.discount", discount)
    for path, value in values.items():
        setting = changed(setting, path.replace("__", "."), value)
    return [found.rule.name for found in check_parameters(setting)]


def test_the_least_discounts_that_are_accepted(good: Parameters) -> None:
    """One basis point or coin less breaks a rule: see BREAKS."""
    assert list_broken_rules(good, replace(DISCOUNT, target_health=LEAST_TARGET)) == []
    assert list_broken_rules(good, replace(DISCOUNT, max_bonus=278)) == []
    plain = replace(good, guards=None)
    assert list_broken_rules(plain, replace(DISCOUNT, target_health=LEAST_FOR_A_QUARTER)) == []
    assert list_broken_rules(plain, replace(DISCOUNT, target_health=LEAST_FOR_A_QUARTER - 1)) == [
        "share-sold"
    ]


@pytest.mark.parametrize(
    ("bonus", "accepted"),
    [
        ({"max_bonus": 2_999}, True),
        ({"max_bonus": 3_000}, False),
        # By the ratio: at 130% and a cursor of 97% the bonus is 28.8%, and at 99% it is 29.6%.
        ({"base_bonus": 0, "full_bonus_health": 0, "cursor": 9_900, "max_bonus": 3_333}, True),
        # By the distance from health: none where a vault has just become unsafe.
        ({"base_bonus": 0, "max_bonus": 0, "full_bonus_health": 0, "max_discount": 3_333}, True),
    ],
)
def test_the_largest_bonus_stays_under_the_ratio(good: Parameters, bonus, accepted) -> None:
    """The rule refuses exactly the bonuses that the contract refuses."""
    discount = replace(DISCOUNT, **bonus)
    found = list_broken_rules(good, discount, **{f"{WETH.replace('.', '__')}__liquidation_ratio": 13_000})
    assert ("discount-bonus" in found) is not accepted
    terms = Terms(*astuple(discount))
    if accepted:
        terms.check_bonus(13_000)
    else:
        with pytest.raises(RevertError):
            terms.check_bonus(13_000)


def test_the_naive_discount_is_refused_where_there_is_a_discount(good: Parameters) -> None:
    naive = replace(good, discount_contract="PartialSaleDiscount")
    assert list_broken_rules(naive, DISCOUNT) == ["naive-contract"]
    assert list_broken_rules(naive, None) == []


def test_the_reward_counts_where_there_are_auctions(good: Parameters) -> None:
    tip = {"collateral_types__0__auction__tip": 70}
    assert "reward-of-the-smallest" not in list_broken_rules(good, DISCOUNT, **tip)
    large = {"collateral_types__0__auction__tip": 261}
    assert list_broken_rules(good, replace(DISCOUNT, max_bonus=3_000), **large) == []
    assert list_broken_rules(good, None, **large) == ["reward-of-the-smallest"]


def list_rules_that_a_pool_breaks(setting: Any, **values: int | bool) -> list[str]:
    pool = replace(STABILITY_POOL, **cast(Any, values))
    return [found.rule.name for found in check_parameters(changed(setting, f"{WETH}.stability_pool", pool))]


def test_the_least_pools_that_are_accepted(good: Parameters) -> None:
    """One basis point or second more or less breaks a rule: see BREAKS."""
    assert good.collateral_types[0].liquidation_ratio == 14_500
    assert list_rules_that_a_pool_breaks(good, penalty=4_499) == []
    assert list_rules_that_a_pool_breaks(good, penalty=4_500) == ["stability-pool-penalty"]
    # The floor of 2,000 with the penalty is 2,100, of which a tip of 50 is 2.38%.
    assert list_rules_that_a_pool_breaks(good, reward=239) == []
    assert list_rules_that_a_pool_breaks(good, reward=238) == ["pool-reward-of-the-smallest"]
    assert list_rules_that_a_pool_breaks(good, entry_delay=300, cooldown=301) == []
    assert list_rules_that_a_pool_breaks(good, has_write_off=True) == []


def test_a_pool_without_a_reward_has_no_least_floor(good: Parameters) -> None:
    setting = changed(good, f"{WETH}.stability_pool", replace(STABILITY_POOL, reward=0))
    (found,) = check_parameters(setting)
    assert found.misfit.instead == "a larger reward"


def test_the_naive_pool_is_refused_where_there_is_a_pool(good: Parameters) -> None:
    naive = replace(good, stability_pool_contract="InstantStabilityPool")
    assert list_rules_that_a_pool_breaks(naive) == ["naive-contract"]
    assert check_parameters(naive) == []


def test_the_tip_of_auctions_counts_where_rests_alone_are_auctioned(good: Parameters) -> None:
    large = changed(good, f"{AUCTION}.tip", 261)
    assert list_rules_that_a_pool_breaks(large, reward=1_300, penalty=2_000) == []
