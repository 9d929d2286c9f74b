"""A rule about two or more parameters, and where a setting breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.model.arithmetic import BASIS_POINTS, RAY

REFUSED, DOUBTFUL = "refused", "doubtful"
"""Verdicts: it breaks a promise of the protocol, or it is dear, slow or fragile and may be meant."""

HIGH_PRICE, LOW_PRICE = 100_000 * RAY, RAY // 100
"""Prices of a token [ray for 1e18 of it] where a rule needs one and the setting has none."""

MOVE, MOVE_TIME = 1_000, 3_600
"""How far a price moves in a bad hour [basis points, seconds]; it grows with the square root of time."""

Prices = Mapping[str, int]
"""Reference prices by symbol [ray for 1e18 of the token], as a scenario has them; may be empty."""


class RuleViolation(NamedTuple):
    """Place where parameters break a rule, the values there, and a suggested change."""

    place: str  # the part of the setting; "" is all of it
    values: tuple[str, ...]  # of the parameters that the rule relates
    instead: str


Misfits = Callable[[Parameters, Prices], Iterator[RuleViolation]]


@dataclass(frozen=True)
class Rule:
    """Rule about parameters: name, verdict, related parameters, reason, and a function that checks it."""

    name: str
    verdict: str
    relates: tuple[str, ...]
    why: str
    misfits: Misfits


class RuleFinding(NamedTuple):
    """A rule that the parameters break, and the place where they break it."""

    rule: Rule
    misfit: RuleViolation

    @property
    def parameter_names_and_values(self) -> str:
        """Text with names and values of the parameters that break the rule."""
        return ", ".join(
            f"{name} {value}" for name, value in zip(self.rule.relates, self.misfit.values, strict=True)
        )

    def __str__(self) -> str:
        place = f"{self.misfit.place}: " if self.misfit.place else ""
        return (
            f"{self.rule.name}: {place}{self.parameter_names_and_values}; set {self.misfit.instead}. "
            f"What has to hold: {self.rule.why}"
        )


def define_parameter_rule(verdict: str, *relates: str, why: str) -> Callable[[Misfits], Rule]:
    """Return a decorator that turns a function yielding violations into a Rule.

    The rule's name comes from the function: `_iter_block_time_violations` is the rule `block-time`.
    """

    def made(misfits: Misfits) -> Rule:
        name = misfits.__name__.removeprefix("_iter_").removesuffix("_violations").replace("_", "-")
        return Rule(name, verdict, relates, why, misfits)

    return made


def compute_price_move(seconds: int) -> int:
    """Return how far a price may move within `seconds` in a bad hour [basis points], rounded up.

    The move is 10% an hour and grows with the square root of time.
    """
    square = MOVE * MOVE * seconds
    low = 0
    while low * low * MOVE_TIME < square:
        low += 1
    return min(low, BASIS_POINTS)


# ------------------------------------------------------------------ how values are written


def format_percent(bps: int) -> str:
    """Return basis points as a text in percent."""
    whole, rest = divmod(bps, 100)
    return f"{whole}%" if rest == 0 else f"{whole}.{rest:02}%"


def format_duration_in_one_unit(seconds: int) -> str:
    """Return seconds as a text in the largest unit without a remainder, such as "6 h"."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def format_coins(whole: int) -> str:
    """Return an amount of whole stablecoins as a text, such as "1,000 coins"."""
    return f"{whole:,} coins" if whole != 1 else "1 coin"
