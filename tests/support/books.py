"""What the flows read and repeat: accounts of the ledger, records of losses, auctions that go well."""

from __future__ import annotations

from backstop.model.arithmetic import RAY
from backstop.model.loss_events import LossEvent
from tests.support.auctions import liquidate, take
from tests.support.protocol import PRICES, Protocol
from tests.support.savings import BUFFER as BUFFER
from tests.support.savings import RESERVE as RESERVE
from tests.support.savings import SAVINGS as SAVINGS
from tests.support.savings import give

WETH, WBTC, XAU = 0, 1, 2


def buffer(protocol: Protocol, c: int) -> int:
    """Rad."""
    return int(protocol.read("VaultEngine.buffer_of", c))


def reserve(protocol: Protocol) -> int:
    """Rad."""
    return int(protocol.read("VaultEngine.reserve"))


def deficit(protocol: Protocol, c: int) -> int:
    """Rad."""
    return int(protocol.read("VaultEngine.deficit_of", c))


def saved(protocol: Protocol) -> int:
    """The assets of the savings pool, wad."""
    return int(protocol.read("Savings.totalAssets"))


def cover(protocol: Protocol, c: int) -> dict[int, int]:
    """Have a type's losses covered by anyone; stage -> what it paid, rad."""
    protocol.do("LossWaterfall.cover", c, sender="stranger")
    return {log.values[2]: log.values[3] for log in protocol.last.logs if log.event == "LossCovered"}


def epoch(protocol: Protocol) -> int:
    """The present epoch."""
    return protocol.timestamp // protocol.parameters.epoch_length


def next_epoch(protocol: Protocol) -> int:
    """Wait for the next epoch to begin."""
    length = protocol.parameters.epoch_length
    protocol.advance(length - protocol.timestamp % length)
    return epoch(protocol)


def event_of(protocol: Protocol, c: int, at: int | None = None) -> LossEvent:
    """The record of a loss event, of the present epoch if none is named; it has to add up."""
    event = LossEvent(*protocol.read("LossWaterfall.event_of", c, epoch(protocol) if at is None else at))
    assert event.created + event.carried_in == (
        event.recovered + event.covered + event.carried_out + event.outstanding
    )
    return event


def earn_penalty(protocol: Protocol, symbol: str, debt: int) -> int:
    """A vault is liquidated and its lot sold at once; 13% of the debt (wad) go to the type's buffer, rad."""
    c = protocol.type_of(symbol)
    protocol.post_price(symbol, PRICES[symbol])
    give(protocol, "taker", 2 * debt)
    who = f"unlucky_{protocol.timestamp}"
    protocol.borrow(who, symbol, 2 * debt * RAY // PRICES[symbol], debt)
    before = buffer(protocol, c)
    protocol.post_price(symbol, PRICES[symbol] * 6 // 10)
    take(protocol, liquidate(protocol, who, c))
    earned = buffer(protocol, c) - before
    assert earned == debt * 13 // 100 * RAY
    return earned


def hold_price(protocol: Protocol, symbol: str, price: int, seconds: int) -> None:
    """Let time pass with a price that stays fresh."""
    end = protocol.timestamp + seconds
    while protocol.timestamp < end:
        protocol.post_price(symbol, price)
