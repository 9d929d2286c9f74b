"""Strategies: the part of a keeper that its operator provides, which values the things for sale.

A strategy is asked once for each look at a block about everything that a role considers. It does not see gas,
nonces or nodes, and signs nothing. One of your own is a class:

    class Careful:
        def __init__(self, options: Mapping[str, str]) -> None: ...
        def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
            return [offer.market * 97 // 100 for offer in offers]
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from backstop.errors import BackstopError
from backstop.keepers.keeper_group_settings import KeeperGroup


class Offer(NamedTuple):
    """Item for sale at the present block, as a strategy has to value it."""

    # "flash": sold on at once; "collateral", "equity": bought and kept. Of unsafe vaults that are sold at a
    # discount: "flash_vault" and "vault"; asked about is the largest one
    sale: str
    id: int  # of the auction; of a sale of equity, or of unsafe vaults, its collateral type
    symbol: str
    amount: int  # wad that is left
    target: int  # wad of stablecoin that the seller still wants
    price: int  # ray asked for 1e18
    market: int  # ray that 1e18 is worth elsewhere
    timestamp: int


class Strategy(Protocol):
    """Valuation of offers (interface that an operator's own class implements)."""

    def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
        """Return the value of 1e18 of each offer [ray], in order; None for an offer without a bid."""
        ...


class MarketPriceStrategy:
    """Strategy that values every offer at its outside market price."""

    def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
        return [offer.market for offer in offers]


class FallbackStrategy:
    """Strategy that asks an inner strategy, and the strategy `otherwise` if the inner one fails.

    Without `otherwise` a failure means no bids. `say` receives a log line for each new failure.
    """

    def __init__(self, inner: Strategy, otherwise: Strategy | None, say: Callable[[str], None]) -> None:
        self._inner = inner
        self._otherwise = otherwise
        self._say = say
        self._told = ""

    def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
        try:
            answer = request_valuations(self._inner, offers)
        except BackstopError as error:
            if str(error) != self._told:
                self._told = str(error)
                instead = "no bid" if self._otherwise is None else "the built-in strategy answers"
                self._say(f"{error}; {instead}")
            return [None] * len(offers) if self._otherwise is None else self._otherwise.worth(offers)
        self._told = ""
        return answer

    def close(self) -> None:
        """Close the inner strategy, for example its external program, if it has a `close` method."""
        end = getattr(self._inner, "close", None)
        if end is not None:
            end()


def request_valuations(strategy: Strategy, offers: Sequence[Offer]) -> list[int | None]:
    """Return a strategy's values of 1e18 of each offer [ray]; None for an offer without a bid.

    Raises BackstopError if the strategy raises or its answer is no list of uint256 values.
    """
    try:
        answer: object = strategy.worth(offers)
    except BackstopError:
        raise
    except Exception as error:  # not our code
        raise BackstopError(f"the strategy failed: {error!r}") from None
    count = len(offers)
    if not isinstance(answer, Sequence) or isinstance(answer, str) or len(answer) != count:
        raise BackstopError(f"the strategy answered {shorten_repr(answer)} to {count} offers")
    for each in answer:
        if each is not None and (type(each) is not int or not 0 <= each < 1 << 256):
            raise BackstopError(f"the strategy answered {shorten_repr(each)}: ray as a whole number, or none")
    return list(answer)


def load_strategy(name: str, options: Mapping[str, str]) -> Strategy:
    """Import a class named `module:Class`, and return its instance made with the options.

    Raises BackstopError if it cannot be imported or made, or has no method `worth`.
    """
    module, mark, kind = name.partition(":")
    if not (mark and module and kind):
        raise BackstopError(f"{name!r} is not module:Class")
    try:
        found = getattr(importlib.import_module(module), kind)
    except AttributeError:
        raise BackstopError(f"{kind} not found in {module}") from None
    except Exception as error:  # whatever that module does
        raise BackstopError(f"{module} cannot be imported: {error}") from None
    try:
        strategy = found(options)
    except Exception as error:
        raise BackstopError(f"{name} cannot be made with its options: {error}") from None
    if not callable(getattr(strategy, "worth", None)):
        raise BackstopError(f"{name} has no method worth(offers)")
    made: Strategy = strategy
    return made


def build_strategy(group: KeeperGroup) -> Strategy:
    """Return the strategy of a simulated group: its own class, or the market price strategy."""
    return load_strategy(group.strategy, {}) if group.strategy else MarketPriceStrategy()


def shorten_repr(value: object) -> str:
    """Return the repr of a value, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
