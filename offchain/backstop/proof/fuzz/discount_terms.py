"""Terms of fixed discounts to fuzz: each kind of bonus and of amount."""

from __future__ import annotations

from dataclasses import astuple, fields, is_dataclass
from random import Random
from typing import Any

from backstop.deployment.parameter_dataclasses import CollateralParameters, DiscountParameters, Parameters
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.fixed_discount import Terms

_MECHANISMS = {
    (CollateralParameters, "discount"),
    (CollateralParameters, "stability_pool"),
    (Parameters, "discount_contract"),
    (Parameters, "stability_pool_contract"),
}


def draw_discount_terms(random: Random, liquidation_ratio: int) -> DiscountParameters:
    """Draw random terms of a fixed-discount liquidation: a bonus, an amount and a protocol fee.

    All kinds of bonus and of amount occur. The bonus is mostly under the limit that the liquidation ratio
    [basis points] sets.
    """
    room = min(liquidation_ratio - BASIS_POINTS, bounds.MAX_LIQUIDATION_BONUS)
    most = max(random.choice((0, room // 3, room - 1, room - 1, room)), 0)
    bonus = random.choice(
        (
            {"base_bonus": most, "max_bonus": most},
            {
                "base_bonus": random.randint(0, most),
                "max_bonus": most,
                "full_bonus_health": random.choice((0, 5_000, 9_000, 9_999)),
            },
            {"base_bonus": 0, "max_bonus": 0, "max_discount": random.choice((1, 500, 1_500, 3_333))},
            {"base_bonus": 0, "max_bonus": 1_500, "cursor": random.choice((1, 3_000, 9_000))},
        )
    )
    amount = random.choice(
        (
            {"target_health": random.choice((10_001, 10_500, 12_400, 20_000))},
            {"target_health": random.choice((10_001, 10_500, 12_400, 20_000))},
            {
                "target_health": 0,
                "close_factor": random.choice((500, 5_000, 10_000)),
                "whole_close_health": random.choice((0, 9_500, 10_000)),
                "small_position": random.choice((0, 2_000, 10_000)),
            },
        )
    )
    fee = random.choice((0, 0, 1, 1_000, BASIS_POINTS))
    return DiscountParameters(**(bonus | amount), fee=fee)


def draw_fitting_discount(random: Random, liquidation_ratio: int) -> DiscountParameters | None:
    """Draw fixed-discount terms with a valid bonus for the liquidation ratio [basis points].

    Return None if none of 20 draws is valid.
    """
    for _ in range(20):
        terms = draw_discount_terms(random, liquidation_ratio)
        drawn = Terms(*astuple(terms))
        health = WAD if drawn.max_discount else 0
        numerator, denominator = drawn.compute_bonus(liquidation_ratio, health)
        if numerator * BASIS_POINTS < liquidation_ratio * denominator:
            return terms
    return None


def list_values(record: Any) -> Any:
    """Return all field values of parameters as nested tuples, without liquidation mechanisms.

    The values seed a separate random generator. Without the mechanisms' fields, a seed draws the same values
    whether or not a deployment has those mechanisms.
    """
    if is_dataclass(record):
        names = (each.name for each in fields(record))
        return tuple(
            list_values(getattr(record, name)) for name in names if (type(record), name) not in _MECHANISMS
        )
    return tuple(map(list_values, record)) if isinstance(record, tuple) else record
