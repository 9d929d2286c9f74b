"""Moves: each is an intention of an account, as one or several actions. The catalogue registers them here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.system import Action

Plays = Callable[[GenerationContext], Iterator[Action | Wait]]


class ActionGenerator(NamedTuple):
    """Move of the fuzzer: a generator of actions that is drawn with a probability given by `weight`.

    `play` yields no action if the move makes no sense in the present state. Moves `of_traders` weigh more in
    some runs. The other flags limit a move to some deployments. `of_adapters`: those that insure the coin of
    another protocol; `of_own_types`: all others. `of_discounts`: those that sell vaults at a fixed discount.
    `of_stability_pools`: those with a stability pool. A limited move leaves the random draws of other
    deployments unchanged.
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
    """Return a decorator that adds a function to the fuzzer's moves, under the function's name.

    A move is drawn with a probability given by `weight`. `ActionGenerator` explains the flags.
    """

    def register(play: Plays) -> Plays:
        name = play.__name__
        assert name not in MOVES, f"there are two moves {name}"
        flags = of_traders, of_adapters, of_own_types, of_discounts, of_stability_pools
        MOVES[name] = ActionGenerator(name, weight, play, *flags)
        return play

    return register
