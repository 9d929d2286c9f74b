"""Readings and repeated steps of the flows: ledger accounts, records of losses, successful auctions."""

from __future__ import annotations

from backstop.model.arithmetic import RAY
from backstop.model.loss_events import LossEvent
from backstop.proof.local_protocol import PRICES, LocalProtocol
from tests.support.auction_steps import liquidate_vault, take_collateral
from tests.support.saver_steps import BUFFER as BUFFER
from tests.support.saver_steps import RESERVE as RESERVE
from tests.support.saver_steps import SAVINGS as SAVINGS
from tests.support.saver_steps import give_stablecoin

WETH, WBTC, XAU = 0, 1, 2


def read_buffer(protocol: LocalProtocol, collateral_type: int) -> int:
    """Rad."""
    return int(protocol.read("VaultEngine.buffer_of", collateral_type))


def read_reserve(protocol: LocalProtocol) -> int:
    """Rad."""
    return int(protocol.read("VaultEngine.reserve"))


def read_deficit(protocol: LocalProtocol, collateral_type: int) -> int:
    """Rad."""
    return int(protocol.read("VaultEngine.deficit_of", collateral_type))


def read_savings_assets(protocol: LocalProtocol) -> int:
    """The assets of the savings pool, wad."""
    return int(protocol.read("Savings.totalAssets"))


def cover_losses(protocol: LocalProtocol, collateral_type: int) -> dict[int, int]:
    """Cover a type's losses from any account; return stage -> payment [rad]."""
    protocol.do("LossWaterfall.cover", collateral_type, sender="stranger")
    return {log.values[2]: log.values[3] for log in protocol.last.logs if log.event == "LossCovered"}


def get_epoch(protocol: LocalProtocol) -> int:
    """The present epoch."""
    return protocol.timestamp // protocol.parameters.epoch_length


def advance_to_next_epoch(protocol: LocalProtocol) -> int:
    """Wait for the next epoch to begin."""
    length = protocol.parameters.epoch_length
    protocol.advance(length - protocol.timestamp % length)
    return get_epoch(protocol)


def read_loss_event(protocol: LocalProtocol, collateral_type: int, epoch: int | None = None) -> LossEvent:
    """The record of a loss event, of the present epoch if none is named; it has to add up."""
    event = LossEvent(
        *protocol.read(
            "LossWaterfall.event_of", collateral_type, get_epoch(protocol) if epoch is None else epoch
        )
    )
    assert event.created + event.carried_in == (
        event.recovered + event.covered + event.carried_out + event.outstanding
    )
    return event


def earn_penalty(protocol: LocalProtocol, symbol: str, debt: int) -> int:
    """A vault is liquidated and its lot sold at once; 13% of the debt (wad) go to the type's buffer, rad."""
    c = protocol.get_collateral_type(symbol)
    protocol.post_price(symbol, PRICES[symbol])
    give_stablecoin(protocol, "taker", 2 * debt)
    who = f"unlucky_{protocol.timestamp}"
    protocol.borrow(who, symbol, 2 * debt * RAY // PRICES[symbol], debt)
    before = read_buffer(protocol, c)
    protocol.post_price(symbol, PRICES[symbol] * 6 // 10)
    take_collateral(protocol, liquidate_vault(protocol, who, c))
    earned = read_buffer(protocol, c) - before
    assert earned == debt * 13 // 100 * RAY
    return earned


def hold_price(protocol: LocalProtocol, symbol: str, price: int, seconds: int) -> None:
    """Let time pass with a price that stays fresh."""
    end = protocol.timestamp + seconds
    while protocol.timestamp < end:
        protocol.post_price(symbol, price)
