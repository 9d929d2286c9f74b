"""The section `discount` of a scenario: its accepted values, and that it is written as it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from backstop.deployment.parameter_dataclasses import DiscountParameters
from backstop.errors import BackstopError
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.parameters_yaml_writer import build_scenario_yaml_parameters_section


def load_discount(folder: Path, discount: str) -> DiscountParameters | None:
    """The discount of ether in a file that has the section."""
    file = folder / "day.yaml"
    file.write_text(
        f"extends: black-thursday\nparameters:\n  collateral_types:\n    ETH:\n      discount: {discount}\n"
    )
    return load_scenario(file).parameters.collateral_types[0].discount


def change_discount(**values: int) -> DiscountParameters:
    return DiscountParameters(**{"base_bonus": 0, "max_bonus": 0, "target_health": 0} | values)


KINDS = [
    ("{base_bonus: 5%, target_health: 110%}", {"base_bonus": 500, "max_bonus": 500, "target_health": 11_000}),
    (
        "{base_bonus: 0%, max_bonus: 10%, full_bonus_health: 90%, target_health: 110%, fee: 10%}",
        {"max_bonus": 1_000, "full_bonus_health": 9_000, "target_health": 11_000, "fee": 1_000},
    ),
    (
        "{max_discount: 15%, close_factor: 100%}",
        {"max_discount": 1_500, "close_factor": 10_000},
    ),
    (
        "{cursor: 30%, max_bonus: 15%, close_factor: 50%, whole_close_health: 95%, "
        "small_position: 10_000 stablecoin}",
        {
            "cursor": 3_000,
            "max_bonus": 1_500,
            "close_factor": 5_000,
            "whole_close_health": 9_500,
            "small_position": 10_000,
        },
    ),
]


@pytest.mark.parametrize(("text", "values"), KINDS)
def test_each_kind_is_read(tmp_path, text, values) -> None:
    """A field that the file leaves out is off, also where the dataclass has another default."""
    assert load_discount(tmp_path, text) == change_discount(**values)


@pytest.mark.parametrize(("text", "values"), KINDS)
def test_it_is_written_as_it_is_read(tmp_path, text, values) -> None:
    load_discount(tmp_path, text)
    parameters = load_scenario(tmp_path / "day.yaml").parameters
    written = build_scenario_yaml_parameters_section(parameters)
    assert "discount" not in written["collateral_types"]["WBTC"] and "discount_contract" not in written
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump({"extends": "black-thursday", "parameters": written}))
    assert load_scenario(copy).parameters == parameters


def test_the_naive_contract_is_written_too(tmp_path) -> None:
    file = tmp_path / "day.yaml"
    text = "parameters: {discount_contract: PartialSaleDiscount}\n"
    file.write_text(f"extends: black-thursday\n{text}")
    parameters = load_scenario(file).parameters
    assert parameters.discount_contract == "PartialSaleDiscount" and not parameters.has_discount
    assert build_scenario_yaml_parameters_section(parameters)["discount_contract"] == "PartialSaleDiscount"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "discount: needs one of base_bonus, max_discount, cursor"),
        ("{base_bonus: 5%}", "discount: needs one of target_health, close_factor"),
        (
            "{base_bonus: 5%, cursor: 30%, target_health: 110%}",
            "needs one of base_bonus, max_discount, cursor, and has base_bonus and cursor",
        ),
        (
            "{base_bonus: 5%, target_health: 110%, close_factor: 50%}",
            "needs one of target_health, close_factor, and has target_health and close_factor",
        ),
        ("{cursor: 30%, target_health: 110%}", "'max_bonus' is missing: a cursor needs it"),
        (
            "{max_discount: 10%, max_bonus: 5%, target_health: 110%}",
            "discount.max_bonus: does not go with max_discount",
        ),
        (
            "{cursor: 30%, max_bonus: 5%, full_bonus_health: 90%, target_health: 110%}",
            "full_bonus_health: does not go with cursor",
        ),
        (
            "{base_bonus: 5%, target_health: 110%, small_position: 1 stablecoin}",
            "small_position: does not go with target_health",
        ),
        ("{base_bonus: 5%, max_bonus: 4%, target_health: 110%}", "max_bonus: is under the base_bonus"),
        ("{base_bonus: 34%, target_health: 110%}", "base_bonus: '34%' is too high"),
        ("{base_bonus: 5%, target_health: 100%}", "target_health: '100%' is too low"),
        ("{base_bonus: 5%, close_factor: 4%}", "close_factor: '4%' is too low"),
        ("{base_bonus: 5, target_health: 110%}", "base_bonus: '5' is not a ratio"),
        ("{bonus: 5%, target_health: 110%}", "discount.bonus: unknown field"),
    ],
)
def test_a_mistake_names_its_place(tmp_path, text, message) -> None:
    with pytest.raises(BackstopError) as caught:
        load_discount(tmp_path, text)
    assert str(caught.value).startswith("day.yaml:5: parameters.collateral_types.ETH.discount")
    assert message in str(caught.value)


def test_a_bonus_at_the_ratio_is_refused(tmp_path) -> None:
    file = tmp_path / "day.yaml"
    file.write_text(
        "extends: black-thursday\nparameters:\n  collateral_types:\n    XAUT:\n"
        "      discount: {base_bonus: 30%, target_health: 110%}\n"
    )
    with pytest.raises(BackstopError, match="discount-bonus"):
        load_scenario(file)
