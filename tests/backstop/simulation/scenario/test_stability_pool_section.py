"""The section `stability_pool` of a scenario: its values, their bounds, and that it is written as read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from backstop.deployment.parameter_dataclasses import StabilityPoolParameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.scenario.parameters_yaml_writer import build_scenario_yaml_parameters_section
from backstop.simulation.scenario.scenario_records import StabilityPoolMember


def load_pool(folder: Path, pool: str, others: str = "") -> Scenario:
    """Return a day with the section for ether."""
    file = folder / "day.yaml"
    file.write_text(
        "extends: black-thursday\nparameters:\n  collateral_types:\n    ETH:\n"
        f"      stability_pool: {pool}\n{others}"
    )
    return load_scenario(file)


SECTIONS = [
    ("{}", StabilityPoolParameters()),
    ("{remainder: auction}", StabilityPoolParameters()),
    (
        "{penalty: 10%, reward: 1%, remainder: write-off, entry_delay: 2 h, cooldown: 2 d, vesting: 7 d}",
        StabilityPoolParameters(1_000, 100, True, 7_200, 172_800, 604_800),
    ),
    # Members get the debt's worth, to the basis point: 105 * 95.24 / 100 is 100.
    ("{reward: 476 bps}", StabilityPoolParameters(reward=476)),
]


@pytest.mark.parametrize(("text", "terms"), SECTIONS)
def test_terms_are_written_as_they_are_read(tmp_path, text, terms) -> None:
    parameters = load_pool(tmp_path, text).parameters
    assert parameters.collateral_types[0].stability_pool == terms
    written = build_scenario_yaml_parameters_section(parameters)
    assert "stability_pool" not in written["collateral_types"]["WBTC"]
    assert "stability_pool_contract" not in written
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump({"extends": "black-thursday", "parameters": written}))
    assert load_scenario(copy).parameters == parameters


def test_deposits_are_an_amount_or_a_part_of_the_debt(tmp_path) -> None:
    scenario = load_pool(tmp_path, "{members: {alice: 1_000.5 stablecoin}, debt_share: 60.5%}")
    assert scenario.stability_pool_members == (
        StabilityPoolMember("ETH", "alice", amount=1_000 * WAD + WAD // 2),
        StabilityPoolMember("ETH", "depositors of ETH", debt_share=6_050),
    )
    assert load_scenario("black-thursday").stability_pool_members == ()
    leaving = load_pool(tmp_path, "{members: {alice: 5 stablecoin}, debt_share: 10%, leaves_at: 01:30}")
    assert [each.leaves_at for each in leaving.stability_pool_members] == [5_400] * 2


def test_the_naive_contract_is_written_and_needs_its_reason(tmp_path) -> None:
    file = tmp_path / "day.yaml"
    text = "parameters:\n  stability_pool_contract: InstantStabilityPool\n"
    file.write_text(f"extends: black-thursday\n{text}")
    parameters = load_scenario(file).parameters
    assert not parameters.has_stability_pool
    written = build_scenario_yaml_parameters_section(parameters)
    assert written["stability_pool_contract"] == "InstantStabilityPool"
    text += "  collateral_types: {ETH: {stability_pool: {}}}\n"
    file.write_text(f"extends: black-thursday\n{text}")
    with pytest.raises(BackstopError, match="naive-contract: stability pool"):
        load_scenario(file)
    file.write_text(f"extends: black-thursday\n{text}unsafe: {{naive-contract: To compare with.}}\n")
    assert load_scenario(file).parameters.has_stability_pool


EQUITY = (
    "  equity: {supply: 100_000 equity, mint_cap: 10_000 equity, buf: 120%, floor: 60%, duration: 12 h, "
    "surplus_lot: 25_000 stablecoin, feed: {quorum: 3, step: 1 h, max_age: 6 h, stale_after: 6 h, "
    "window: 1 h}}\n"
)


def test_a_share_of_income_needs_a_treasury_and_room(tmp_path) -> None:
    place = "parameters.collateral_types.ETH.stability_pool.income_share: "
    with pytest.raises(BackstopError, match=f"{place}needs the section parameters.equity"):
        load_pool(tmp_path, "{income_share: 75%}")
    others = f"{EQUITY}  pools: {{savings: {{cooldown: 1 d, income_share: 25%}}}}\n"
    parameters = load_pool(tmp_path, "{income_share: 75%}", others).parameters
    assert parameters.collateral_types[0].stability_pool == StabilityPoolParameters(income_share=7_500)
    written = build_scenario_yaml_parameters_section(parameters)
    assert written["collateral_types"]["ETH"]["stability_pool"]["income_share"] == "7500 bps"
    with pytest.raises(BackstopError, match=f"{place}makes more than 100% together"):
        load_pool(tmp_path, "{income_share: 7501 bps}", others)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{bonus: 5%}", "stability_pool.bonus: unknown field"),
        ("{penalty: 34%}", "penalty: '34%' is too high"),
        ("{penalty: 5}", "penalty: '5' is not a ratio"),
        (
            "{reward: 477 bps}",
            "reward: leaves members less than the debt that they repay: set the reward to 476",
        ),
        (
            "{penalty: 0%}",
            "penalty: leaves members less than the debt that they repay: set the reward to 0 bps",
        ),
        ("{remainder: redistribution}", "remainder: 'redistribution' is not one of: auction, write-off"),
        ("{entry_delay: 59 s}", "entry_delay: '59 s' is too low"),
        ("{cooldown: 91 d}", "cooldown: '91 d' is too high"),
        ("{vesting: 59 min}", "vesting: '59 min' is too low"),
        ("{members: {alice: 5 USD}}", "members.alice: '5 USD' is not an amount of stablecoin"),
        ("{members: {alice: 0.5 stablecoin}}", "members.alice: '0.5 stablecoin' is too low"),
        ("{debt_share: 10%, leaves_at: 99:00}", "leaves_at: '99:00' is too high"),
        ("{debt_share: 101%}", "debt_share: '101%' is too high"),
        ("{members: {alice: {amount: 5 stablecoin}}}", "members.alice: is a section: write a single value"),
        ("{members: alice}", "members: is the single value 'alice': write a section"),
        (
            "{entry_delay: 30 d, debt_share: 10%}",
            "entry_delay: 2592000 s are too long for deposits at the opening, which take part",
        ),
    ],
)
def test_a_mistake_names_its_place(tmp_path, text, message) -> None:
    with pytest.raises(BackstopError) as caught:
        load_pool(tmp_path, text)
    assert str(caught.value).startswith("day.yaml:5: parameters.collateral_types.ETH.stability_pool")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_discount_beside_a_pool_is_refused(tmp_path) -> None:
    with pytest.raises(BackstopError) as caught:
        load_pool(tmp_path, "{}", "      discount: {base_bonus: 5%, target_health: 110%}\n")
    place = "day.yaml:5: parameters.collateral_types.ETH.stability_pool: "
    assert str(caught.value) == f"{place}does not go with a discount: remove one of them"


def test_a_penalty_at_the_ratio_is_refused(tmp_path) -> None:
    file = tmp_path / "day.yaml"
    text = "extends: black-thursday\nparameters:\n  collateral_types:\n    XAUT:\n      stability_pool: "
    file.write_text(f"{text}{{penalty: 29.99%}}\n")
    load_scenario(file)
    file.write_text(f"{text}{{penalty: 30%}}\n")
    with pytest.raises(BackstopError, match="stability-pool-penalty: XAUT: "):
        load_scenario(file)
