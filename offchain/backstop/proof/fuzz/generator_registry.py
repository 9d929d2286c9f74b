"""Moves: each is an intention of an account, as one or several actions. The catalogue registers them here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.system import Action

Plays = Callable[[GenerationContext], Iterator[Action | Wait]]


class ActionGenerator(NamedTuple):
    """A generator of actions, chosen by `weight` against the others; none where it makes no sense.

    Some runs are mostly of those that are `of_traders`. Those `of_adapters` are for deployments with the
    coin of another protocol, those `of_own_types` for all others, those `of_discounts` where any type is sold
    at a fixed discount, those `of_stability_pools` where any has a pool; so the dice of other deployments
    stay as they were.
    """

    name: str
    weight: float
    play: Plays
    of_traders: bool = False
    of_adapters: bool = False
    of_own_types: bool = False
    of_discounts: bool = False
    of_stability_pools: bool = False


MOVES: dict[str, ActionGenerator] = {}


def register_generator(
    weight: float,
    of_traders: bool = False,
    of_adapters: bool = False,
    of_own_types: bool = False,
    of_discounts: bool = False,
    of_stability_pools: bool = False,
) -> Callable[[Plays], Plays]:
    """Put a move in the catalogue."""

    def register(play: Plays) -> Plays:
        name = play.__name__
        assert name not in MOVES, f"there are two moves {name}"
        flags = of_traders, of_adapters, of_own_types, of_discounts, of_stability_pools
        MOVES[name] = ActionGenerator(name, weight, play, *flags)
        return play

    return register
