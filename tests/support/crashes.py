"""A pool of two members with as much each, one of whom leaves, and a vault whose crash takes one's part."""

from __future__ import annotations

from collections.abc import Callable

from backstop.model.arithmetic import WAD
from tests.support.auctions import stablecoins
from tests.support.plain import only, steady
from tests.support.protocol import PRICES, Protocol
from tests.support.savings import XAU, leave, mature, request, save

STAKE = 10_000 * WAD
CRASHED = PRICES["XAU"] // 10_000


def two_members(new_protocol: Callable[..., Protocol]) -> Protocol:
    """`other` and `attacker` have 10,000 in Junior each; the attacker has asked to leave."""
    protocol = steady(new_protocol, stages=only("buffer", "reserve", "junior"))
    for who in ("other", "attacker"):
        save(protocol, who, STAKE, "Junior")
    request(protocol, "attacker", "Junior")
    return protocol


def owe(protocol: Protocol) -> None:
    """A vault of `borrower` that owes as much as a member has."""
    protocol.post_price("XAU", PRICES["XAU"])
    protocol.borrow("borrower", "XAU", 6 * WAD, STAKE)


def liquidate(protocol: Protocol) -> int:
    """Liquidate that vault at the price of now; the auction's id."""
    return int(protocol.do("LiquidationEngine.liquidate", XAU, "borrower", "keeper", sender="keeper"))


def close(protocol: Protocol, id: int) -> None:
    """The auction finds no taker, its principal is lost."""
    end = protocol.timestamp + protocol.parameters.collateral_types[XAU].auction.tail
    while protocol.timestamp <= end:
        protocol.post_price("XAU", CRASHED)
    protocol.do("CollateralAuction.close", id, sender="stranger")


def cover(protocol: Protocol) -> None:
    """Have the stages pay what was lost."""
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")


def leave_last(protocol: Protocol) -> int:
    """What the other can get out in the end [wad]."""
    if protocol.read("Junior.balanceOf", "other"):
        request(protocol, "other", "Junior")
        mature(protocol, "Junior")
        leave(protocol, "other", "Junior")
    return stablecoins(protocol, "other")
