"""Files are checked field by field; a mistake is one line with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.parameter_dataclasses import (
    AutoCeilingParameters,
    BreakerParameters,
    EquityParameters,
    FacilitatorParameters,
    FeedParameters,
    GuardsParameters,
    PolicyParameters,
    PoolParameters,
    SettlementParameters,
    WorkoutParameters,
)
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_library import LIBRARY
from tests.support.checkout_paths import DATA

FULL = (LIBRARY / "black-thursday.yaml").read_text()


def problem(tmp_path: Path, text: str) -> str:
    """Return the error message of this file."""
    path = tmp_path / "day.yaml"
    path.write_text(text)
    with pytest.raises(BackstopError) as caught:
        load_scenario(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def line_of(text: str, piece: str) -> int:
    return text[: text.index(piece)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tail: 140 min", "tail: x", "auction.tail: 'x' is not a duration; write e.g. '140 min'"),
        ("cusp: 40%", "cusp: 0.4", "auction.cusp: '0.4' is not a ratio; write e.g. '150%'"),
        ("liquidation_ratio: 150%", "liquidation_ratio: 99%", "ETH.liquidation_ratio: '99%' is too low"),
        ("initial_ratio: 155%", "initial_ratio: 140%", "ETH.initial_ratio: '140%' is too low"),
        ("debt_floor: 5_000 stablecoin", "debt_floor: 2_000_000 stablecoin", "is too high: the most is"),
        ("curve: stairstep", "curve: spiral", "'spiral' is not one of: linear, stairstep, exponential"),
        ("        cut: 99%", "        cutt: 99%", "cutt: unknown field; known here: curve, buf"),
        ("quorum: 3", "quorum: 6", "feed.quorum: '6' is too high: the most is 4"),
        ("gas_token: ETH", "gas_token: DOGE", "gas_token: 'DOGE' is not one of: ETH, WBTC, XAUT"),
        ("duration: 30 h", "duration: 31 h", "prices.ETH: has no price at the end"),
        ("duration: 30 h", "duration: 100 s", "duration: '100 s' is not a whole number of blocks"),
        ("23:20: 101.01 USD", "23:20:30: 101.01 USD", "has a price at 84030 seconds, which is not a block's"),
        ("start: 2020-03-12T00:00Z", "start: 2020-03-12T01:00Z", "start: must be midnight UTC"),
        ("role: poker", "role: joker", "keepers.poker.role: 'joker' is not one of: accruer"),
        ("    takes_at: 50%", "    deviation: 50%", "keepers.opportunist.deviation: unknown field"),
        ("  - fact: The worst ten", "  - fakt: The worst ten", "facts[1].fakt: unknown field"),
        ("schema_version: 1", "schema_version: 7", "schema_version: is version 7, this program reads 1"),
        ("gas_token: ETH", "gas_token: ETH\ngas_token: ETH", "gas_token: given twice"),
        ("XAUT: {depth", "XAUS: {depth", "markets.XAUS: unknown field; known here: ETH, WBTC, XAUT"),
        ("title: Black", "title: 'Black", "is not YAML"),
        ("savings: {share: 10%}", "scripted: {share: 10%}", "waterfall.scripted: unknown field"),
        ("savings: {share: 10%}", "minted_equity: {share: 10%}", "needs the section parameters.equity"),
        ("cooldown: 2 d}", "cooldown: 30 d}", "pools.savings.cooldown: is too high: members are paid"),
        ("cooldown: 2 d}", "cooldown: 2 d, vesting: 1 s}", "pools.savings.vesting: '1 s' is too low"),
        ("cooldown: 2 d}", "cooldown: 2 d, income_share: 10%}", "income_share: needs the section param"),
        ("  pools:", "  treasury: {target: 1 stablecoin}\n  pools:", "treasury: needs the section"),
        ("  pools:", "  settlement: {delay: 1 h}\n  pools:", "parameters.settlement: 'bound' is missing"),
        ("buffer_share: 50%", "buffer_share: 50%\n      redistribution_cap: 5", "'5' is not a ratio"),
        (
            "max_age:",
            "confirmations: 4\n        max_age:",
            "feed.confirmations: '4' is too high: the most is",
        ),
    ],
)
def test_a_mistake_names_its_place(tmp_path, old, new, message) -> None:
    assert old in FULL
    text = FULL.replace(old, new, 1)
    said = problem(tmp_path, text)
    assert said.startswith("day.yaml:")
    assert message in said


def feeds_of(parameters):
    return [each.feed for each in parameters.collateral_types]


WHOLE = """\
extends: black-thursday
parameters:
  cap_delay: 20 d
  waterfall:
    clawback: {share: 100%}
    junior: {share: 100%, amount: 250_000 stablecoin}
    staked_equity: {share: 50%}
    senior: {share: 20%}
    minted_equity: {share: 100%}
    redistribution: {share: 100%}
  pools:
    junior: {cooldown: 7 d, vesting: 30 d, income_share: 60%}
    staked_equity: {cooldown: 10 d}
  equity:
    supply: 1_000_000 equity
    mint_cap: 50_000 equity
    buf: 125%
    floor: 40%
    duration: 12 h
    surplus_lot: 10_000 stablecoin
    conversion_price: 2.5 USD
    feed: {quorum: 3, step: 1 h, max_age: 6 h, stale_after: 6 h, window: 1 d}
  treasury: {target: 250_000 stablecoin}
  settlement: {delay: 21 d, bound: 500_000 stablecoin, epochs: 3}
  collateral_types:
    ETH:
      redistribution_cap: 2%
      feed: {deviation: 15%, confirmations: 2, grace: 1 h, dead_after: 3 d}
"""


def test_every_part_of_the_protocol_has_its_section(tmp_path) -> None:
    path = tmp_path / "whole.yaml"
    path.write_text(WHOLE)
    found = load_scenario(path).parameters
    assert [stage.name for stage in found.stages] == [
        "clawback",
        "junior",
        "staked_equity",
        "senior",
        "minted_equity",
        "redistribution",
    ]
    assert found.stages[1].cap_absolute == 250_000 * 10**45
    assert found.junior == PoolParameters(7 * 86_400, 30 * 86_400, 6_000)
    assert found.staked_equity == PoolParameters(10 * 86_400)
    assert found.equity == EquityParameters(
        supply=1_000_000,
        mint_cap=50_000,
        buf=12_500,
        floor=4_000,
        duration=43_200,
        surplus_lot=10_000,
        conversion_price=25 * 10**26,
        feed=FeedParameters(4, 3, 3_600, 21_600, 21_600, 86_400),
    )
    assert found.treasury.target == 250_000
    assert found.settlement == SettlementParameters(21 * 86_400, 500_000, 3)
    guards = [(f.deviation, f.confirmations, f.grace, f.dead_after) for f in feeds_of(found)]
    assert guards == [(1_500, 2, 3_600, 3 * 86_400), (0, 1, 0, 3 * 86_400), (0, 1, 0, 3 * 86_400)]
    assert [each.redistribution_cap for each in found.collateral_types] == [200, 500, 500]
    # A deployment takes all of it.
    deployment = plan_deployment(found)
    apply_configuration(create_model(deployment), deployment)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("supply: 1_000_000 equity", "supply: 1_000_000", "equity.supply: '1_000_000' is not an amount of"),
        ("floor: 40%", "floor: 5%", "equity.floor: '5%' is too low"),
        ("    buf: 125%\n", "", "parameters.equity: 'buf' is missing"),
        ("duration: 12 h", "duration: 8 d", "equity.duration: '8 d' is too high"),
        ("surplus_lot: 10_000", "surplus_lot: 0", "equity.surplus_lot: '0 stablecoin' is too low"),
        ("feed: {quorum: 3", "feed: {quorum: 9", "equity.feed.quorum: '9' is too high: the most is 4"),
        (
            "cooldown: 10 d}",
            "cooldown: 10 d, income_share: 1%}",
            "staked_equity.income_share: income is stable",
        ),
        (
            "  treasury:",
            "    savings: {income_share: 41%}\n  treasury:",
            "parameters.equity.savings: unknown",
        ),
        ("junior: {cooldown", "savings: {income_share: 41%}\n    junior: {cooldown", "more than 100% of inc"),
        ("cooldown: 10 d", "cooldown: 20 d", "staked_equity.cooldown: is too high: members are paid"),
        ("target: 250_000", "limit: 250_000", "parameters.treasury.limit: unknown field; known here: target"),
        ("delay: 21 d", "delay: 1 min", "parameters.settlement.delay: '1 min' is too low"),
        ("epochs: 3", "epochs: 0", "parameters.settlement.epochs: '0' is too low"),
    ],
)
def test_a_mistake_in_a_section_names_its_place(tmp_path, old, new, message) -> None:
    assert old in WHOLE
    said = problem(tmp_path, WHOLE.replace(old, new, 1))
    assert said.startswith("day.yaml:")
    assert message in said


GUARDED = (DATA / "guards" / "guarded.yaml").read_text()


def test_guards_have_their_sections() -> None:
    found = load_scenario(DATA / "guards" / "guarded.yaml").parameters
    assert found.guards == GuardsParameters(
        ceilings=(AutoCeilingParameters(100_000, 60_000_000, 3_600),),
        breaker=BreakerParameters((1_000, 1_000_000), (400, 3_000), (3_600, 0), (0, 0), 3_600),
        workouts=(WorkoutParameters(1_000, 10_500, 200, 3, 3_600, 30 * 86_400, 5_000_000),),
        caution_margin=1_000,
        emergency_factor=15_000,
    )
    assert found.collateral_types[0].policy == PolicyParameters(
        of_vaults=((400_000, 500), (500_000, 1_000)),
        of_type=((20_000_000, 500), (0, 0)),
        flow_cap=100_000,
        flow_window=86_400,
        growth_anchor=210 * 10**27,
        growth=400,
        curve=(100, 300, 2_600, 9_000),
        line=10_000_000,
        call_ratio=15_400,
        call_grace=1_800,
        call_valid=7_200,
    )
    assert found.collateral_types[1].policy == PolicyParameters()
    deployment = plan_deployment(found)
    apply_configuration(create_model(deployment), deployment)


def test_a_policy_alone_deploys_the_policy_alone(tmp_path) -> None:
    path = tmp_path / "calls.yaml"
    calls = "parameters: {collateral_types: {ETH: {policy: {calls: {ratio: 152%}}}}}"
    path.write_text(f"extends: black-thursday\n{calls}\n")
    found = load_scenario(path).parameters
    assert found.guards == GuardsParameters()
    assert found.collateral_types[0].policy == PolicyParameters(call_ratio=15_200)
    assert load_scenario("black-thursday").parameters.guards is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("margin: 10%}]", "margin: 96%}]", "ETH.policy.of_vaults[1].margin: '96%' is too high: the most"),
        (
            "of_type: [{",
            "of_type: [{above: 1 stablecoin, margin: 1%}, {above: 2 stablecoin, margin: 1%}, {",
            "ETH.policy.of_type: has 3 brackets: there may be 2",
        ),
        ("cap: 100_000 stablecoin", "cap: 100_000", "policy.flow.cap: '100_000' is not an amount"),
        ("window: 1 d}", "window: 1 s}", "policy.flow.window: '1 s' is too low"),
        ("rate: 4% a year", "rate: 4%", "policy.growth.rate: '4%' is not a yearly rate; write e.g. '4% a"),
        ("at_kink: 4%", "at_kink: 0%", "policy.fee.at_kink: '0% a year' is too low"),
        ("kink: 90%", "kink: 100%", "policy.fee.kink: '100%' is too high"),
        ("ratio: 154%", "ratio: 156%", "policy.calls.ratio: '156%' is too high: the most is 15500"),
        ("grace: 30 min", "grace: 1 s", "policy.calls.grace: '1 s' is too low"),
        (
            "      ETH: {gap",
            "      DOGE: {gap",
            "guards.ceilings.DOGE: 'DOGE' is not one of: ETH, WBTC",
        ),
        ("ttl: 1 h", "ttl: 1 min", "guards.ceilings.ETH.ttl: '1 min' is too low"),
        ("emergency: 30%", "emergency: 3%", "guards.breaker.fall.emergency: '3%' is too low"),
        (
            "ratio: 105%",
            "ratio: 112%",
            "guards.workouts.ETH: the ratio is above what entry asks for, 11111 b",
        ),
        (
            "instalments: 3, interval",
            "instalments: 61, interval",
            "workouts.ETH.instalments: '61' is too high",
        ),
        (", cap: 5_000_000 stablecoin}", "}", "guards.workouts.ETH: 'cap' is missing"),
        ("workouts:\n      ETH:", "workouts:\n      DOGE:", "guards.workouts.DOGE: 'DOGE' is not one of"),
        ("calm_period: 1 h", "calm: 1 h", "guards.breaker.calm: unknown field; known here: calm_period, l"),
        ("emergency_factor: 150%", "emergency_factor: 0%", "guards.emergency_factor: '0%' is too low"),
        ("collateral: ETH,", "", "keepers.anna: 'collateral' is missing: a borrower needs it"),
        ("collateral: ETH,", "collateral: DOGE,", "keepers.anna.collateral: 'DOGE' is not one of: ETH,"),
        ("answers: 50%", "answers: 101%", "keepers.owners.answers: '101%' is too high"),
        ("collateral: ETH,", "collateral: ETH, pays: 5%,", "keepers.anna.pays: '5%' is not a yearly rate"),
        (", schedule: [", ", outages: [", "keepers.guardian: 'schedule' is missing: a guardian needs it"),
        ("halt: XAUT}", "halt: DOGE}", "keepers.guardian.schedule[0].halt: 'DOGE' is not one of: ETH, WBTC"),
        (
            "halt: XAUT}",
            "raise: caution}",
            "schedule[0].raise: unknown field; known here: at, halt, force_mode, announce",
        ),
        ("halt: XAUT}", "halt: XAUT, force_mode: caution}", "schedule[0]: needs one of `halt`, `force_mode`"),
        (
            "force_mode: caution}",
            "force_mode: normal}",
            "force_mode: 'normal' is not one of: caution, emergency",
        ),
        ("at: 00:30, ", "", "keepers.guardian.schedule[1]: 'at' is missing"),
        ("keepers:", "feed_prices: {DOGE: 1}\nkeepers:", "feed_prices.DOGE: 'DOGE' is not one of: ETH"),
        ("keepers:", "tries: {all: {title: x}}\nkeepers:", "tries.all: 'all' is not a guard's name"),
        ("keepers:", "tries: {flow: {title: x}}\nkeepers:", "tries.flow: changes neither `parameters` nor"),
        ("keepers:", "tries: {flow: {tilte: x}}\nkeepers:", "tries.flow.tilte: unknown field; known here"),
    ],
)
def test_a_mistake_in_a_guard_names_its_place(tmp_path, old, new, message) -> None:
    text = GUARDED.replace("../runs/small.yaml", str(DATA / "runs" / "small.yaml"))
    assert old in text
    said = problem(tmp_path, text.replace(old, new, 1))
    assert said.startswith("day.yaml:")
    assert message in said


def test_workouts_need_a_breaker(tmp_path) -> None:
    text = "extends: black-thursday\nparameters:\n  guards: {workouts: {ETH: {cap: 1 stablecoin}}}\n"
    assert "guards.workouts: workouts need a `breaker`: vaults enter in caution" in problem(tmp_path, text)


FACILITATOR = """extends: black-thursday
parameters:
  facilitators:
    Rollup: {line: 1_000_000 stablecoin, delay: 1 d, flow: {cap: 100_000 stablecoin, window: 8 h}}
    Sidechain: {line: 0 stablecoin, delay: 1 h, minter: other_bridge}
keepers:
  bridge: {role: bridge, facilitator: Rollup, capital: 5 stablecoin, each: 1 stablecoin, gas_price: 5 gwei}
  guardian: {role: guardian, schedule: [{at: 01:00, announce: Rollup}], gas_price: 5 gwei}
"""


def test_facilitators_have_their_section(tmp_path) -> None:
    path = tmp_path / "day.yaml"
    path.write_text(FACILITATOR)
    found = load_scenario(path)
    assert found.parameters.facilitators == (
        FacilitatorParameters("Rollup", 1_000_000, 86_400, flow_cap=100_000, flow_window=28_800),
        FacilitatorParameters("Sidechain", 0, 3_600, minter="other_bridge"),
    )
    assert found.parameters.guards == GuardsParameters()
    bridge = next(group for group in found.keepers if group.role == "bridge")
    assert (bridge.facilitator, bridge.each, bridge.endowment) == ("Rollup", 10**18, 0)
    deployment = plan_deployment(found.parameters)
    apply_configuration(create_model(deployment), deployment)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("line: 1_000_000 stablecoin", "line: 2_000_000_000 stablecoin", "Rollup.line: '2_000_000_000 stab"),
        ("delay: 1 d", "delay: 1 min", "parameters.facilitators.Rollup.delay: '1 min' is too low"),
        ("delay: 1 d, ", "", "parameters.facilitators.Rollup: 'delay' is missing"),
        ("window: 8 h", "window: 1 s", "parameters.facilitators.Rollup.flow.window: '1 s' is too low"),
        ("    Sidechain", "    side_chain", "'side_chain' is not a name: 2 to 12 letters and digits"),
        (
            "facilitator: Rollup, capital",
            "facilitator: Nowhere, capital",
            "facilitator 'Nowhere' is unknown; expected one of",
        ),
        (
            "facilitator: Rollup, capital",
            "capital",
            "keepers.bridge: 'facilitator' is missing: a bridge needs it",
        ),
        (" each: 1 stablecoin,", "", "keepers.bridge: 'each' is missing: a bridge needs it"),
        ("  bridge: {", "  minter: {", "keepers.minter: the bridge of Rollup is called 'bridge'"),
        (
            "announce: Rollup",
            "announce: Elsewhere",
            "keepers.guardian: facilitator 'Elsewhere' is unknown; expected one of",
        ),
    ],
)
def test_a_mistake_in_a_facilitator_names_its_place(tmp_path, old, new, message) -> None:
    assert old in FACILITATOR
    said = problem(tmp_path, FACILITATOR.replace(old, new, 1))
    assert said.startswith("day.yaml:")
    assert message in said


def test_the_line_is_the_fields(tmp_path) -> None:
    text = FULL.replace("tail: 140 min", "tail: soon", 1)
    place = f"day.yaml:{line_of(text, 'tail: soon')}: parameters.collateral_types.ETH.auction.tail: "
    assert problem(tmp_path, text).startswith(place)


def test_a_missing_section(tmp_path) -> None:
    assert problem(tmp_path, "schema_version: 1\ntitle: x\n") == "day.yaml:1: 'description' is missing"


def test_a_missing_field_names_its_section(tmp_path) -> None:
    text = FULL.replace("        cusp: 40%\n", "", 1)
    line = line_of(text, "      auction: &auction")
    assert problem(tmp_path, text) == (
        f"day.yaml:{line}: parameters.collateral_types.ETH.auction: 'cusp' is missing"
    )


EQUITY = """extends: black-thursday
parameters:
  pools:
    junior: {cooldown: 1 d, vesting: 3 d, income_share: 10%}
  equity:
    supply: 1_000 equity
    mint_cap: 100 equity
    buf: 120%
    floor: 50%
    duration: 6 h
    surplus_lot: 500 stablecoin
    conversion_price: 20 USD
    feed: {quorum: 3, step: 1 h, max_age: 6 h, stale_after: 6 h, window: 1 h}
  treasury: {target: 70_000 stablecoin}
"""


def test_equity_and_income(tmp_path) -> None:
    path = tmp_path / "day.yaml"
    path.write_text(EQUITY)
    scenario = load_scenario(path)
    equity = scenario.parameters.equity
    assert equity is not None and scenario.equity_price is not None
    assert (equity.supply, equity.mint_cap, equity.floor) == (1_000, 100, 5_000)
    assert (equity.surplus_lot, equity.conversion_price) == (500, 20 * 10**27)
    assert equity.feed.reporters == 4
    assert scenario.parameters.treasury.target == 70_000
    junior = scenario.parameters.junior
    assert (junior.cooldown, junior.vesting, junior.income_share) == (86_400, 3 * 86_400, 1_000)
    staked = scenario.members["staked_equity"]
    assert staked["staker_1"] == 15_000 * 10**18


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "1_000 equity",
            "1_000 stablecoin",
            "day.yaml:6: parameters.equity.supply: '1_000 stablecoin' is",
        ),
        ("floor: 50%", "floor: 5%", "day.yaml:9: parameters.equity.floor: '5%' is too low"),
        ("    duration: 6 h\n", "", "day.yaml:5: parameters.equity: 'duration' is missing"),
        ("vesting: 3 d", "vesting: 3 s", "parameters.pools.junior.vesting: '3 s' is too low"),
        ("treasury: {target", "treasury: {aim", "day.yaml:14: parameters.treasury.aim: unknown field"),
        ("extends:", "equity_price: null\nextends:", "'equity_price' is missing: the parameters have equity"),
    ],
)
def test_a_mistake_about_equity(tmp_path, old, new, expected) -> None:
    assert old in EQUITY
    assert expected in problem(tmp_path, EQUITY.replace(old, new, 1))


def test_capital_is_of_what_the_role_pays_with(tmp_path) -> None:
    path = tmp_path / "day.yaml"
    path.write_text("extends: black-thursday\nkeepers:\n  arbitrageur: {capital: 10 stablecoin}\n")
    with pytest.raises(BackstopError, match="'10 stablecoin' is not an amount of equity"):
        load_scenario(path)
    groups = {group.name: group for group in load_scenario("black-thursday").keepers}
    assert groups["arbitrageur"].asset == groups["staker_runner"].asset == "Equity"
    assert groups["recap"].asset == groups["junior_runner"].asset == "Stablecoin"


def test_no_such_scenario() -> None:
    with pytest.raises(BackstopError, match="scenario 'white-friday' is unknown; expected one of "):
        load_scenario("white-friday")


@pytest.mark.parametrize(
    ("old", "new"),
    [("oct-2025", "october-2025-perpetuals"), ("october-2025", "october-2025-vaults")],
)
def test_an_old_name_of_a_scenario_names_the_new_one(old: str, new: str) -> None:
    with pytest.raises(BackstopError, match=f"^the scenario '{old}' is called '{new}' now$"):
        load_scenario(old)
    assert load_scenario(new).name == new


def test_no_such_file() -> None:
    with pytest.raises(BackstopError, match=r"scenario file missing\.yaml not found"):
        load_scenario("missing.yaml")


def test_an_empty_file(tmp_path) -> None:
    assert problem(tmp_path, "") == "day.yaml:1: is empty: write a section of `name: value` lines"


def test_extending_merges_sections_and_null_removes(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: black-thursday\n"
        "title: Mine\n"
        "parameters:\n"
        "  collateral_types:\n"
        "    ETH: {auction: {curve: linear, length: 2 h, step: null, cut: null}}\n"
    )
    mine, base = load_scenario(path), load_scenario("black-thursday")
    assert (mine.name, mine.title) == ("mine", "Mine")
    ours, theirs = (each.parameters.collateral_types for each in (mine, base))
    assert (ours[0].auction.curve, ours[0].auction.period) == (0, 7_200)
    assert ours[0].auction.cusp == theirs[0].auction.cusp
    assert ours[1:] == theirs[1:]


ORDER = "extends: black-thursday\nparameters:\n  waterfall:\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("    savings: {share: 20%}\n    buffer: {share: 50%}\n", [("savings", 2_000), ("buffer", 5_000)]),
        ("    reserve: null\n", [("buffer", 10_000), ("savings", 1_000)]),
        ("    {}\n", [("buffer", 10_000), ("reserve", 10_000), ("savings", 1_000)]),
    ],
)
def test_a_waterfall_that_names_stages_is_the_order(tmp_path, lines, expected) -> None:
    """No stage of the base is left, and none of its caps; one that only removes stages keeps the rest."""
    path = tmp_path / "mine.yaml"
    path.write_text(ORDER + lines)
    stages = load_scenario(path).parameters.stages
    assert [(stage.name, stage.cap_bps) for stage in stages] == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            "    savings: {share: 20%}\n    buffer: null\n",
            "day.yaml:5: parameters.waterfall.buffer: is null beside others, which are the whole order: "
            "leave it out",
        ),
        (
            "    junior: null\n",
            "day.yaml:4: parameters.waterfall.junior: is not in the order that is extended: "
            "buffer, reserve, savings",
        ),
        ("    savings: {}\n", "day.yaml:4: parameters.waterfall.savings: 'share' is missing"),
        (
            "    buffer: null\n    reserve: null\n    savings: null\n",
            "day.yaml:3: parameters.waterfall: needs at least one stage",
        ),
    ],
)
def test_a_mistake_about_the_order(tmp_path, lines, expected) -> None:
    assert problem(tmp_path, ORDER + lines) == expected


def test_what_is_removed_may_be_from_further_back(tmp_path) -> None:
    (tmp_path / "middle.yaml").write_text("extends: black-thursday\ntitle: Middle\n")
    path = tmp_path / "mine.yaml"
    path.write_text("extends: middle.yaml\nparameters: {waterfall: {reserve: null}}\nequity_price: null\n")
    mine = load_scenario(path)
    assert mine.title == "Middle" and mine.equity_price is None
    assert [stage.name for stage in mine.parameters.stages] == ["buffer", "savings"]


def test_a_mistake_in_an_extending_file_names_that_file(tmp_path) -> None:
    said = problem(tmp_path, "extends: black-thursday\nduration: soon\n")
    assert said == "day.yaml:2: duration: 'soon' is not a duration; write e.g. '140 min'"


def test_extending_nothing_or_in_circles(tmp_path) -> None:
    assert problem(tmp_path, "extends: nowhere\n").startswith(
        "day.yaml:1: extends: scenario 'nowhere' is unknown"
    )
    assert problem(tmp_path, "extends: day.yaml\n") == (
        "day.yaml:1: extends: 'day.yaml' extends this file in turn"
    )


def test_the_scenario_of_a_folder_is_called_by_it(tmp_path: Path) -> None:
    """Two imported books have studies of different names."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scenario.yaml").write_text("extends: black-thursday\n")
        assert load_scenario(tmp_path / name / "scenario.yaml").name == name
