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
    """A thing for sale at the present block."""

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
    """A valuation of offers."""

    def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
        """Return for each offer, in order, the value of 1e18 [ray]; None makes no bid."""
        ...


class MarketPriceStrategy:
    """The strategy by which a thing is worth what the market pays."""

    def worth(self, offers: Sequence[Offer]) -> Sequence[int | None]:
        return [offer.market for offer in offers]


class FallbackStrategy:
    """An operator's strategy: if it fails, `say` gets a line and `otherwise` (None: no bid) answers."""

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
        """End what the inner strategy has started."""
        end = getattr(self._inner, "close", None)
        if end is not None:
            end()


def request_valuations(strategy: Strategy, offers: Sequence[Offer]) -> list[int | None]:
    """Return a strategy's answer; raise one line if it fails or answers something else than valuations."""
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
    """Import `module:Class` and make a strategy with the options."""
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
    """Return the strategy of a scenario's keepers."""
    return load_strategy(group.strategy, {}) if group.strategy else MarketPriceStrategy()


def shorten_repr(value: object) -> str:
    """Return a value's repr, shortened for a line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
