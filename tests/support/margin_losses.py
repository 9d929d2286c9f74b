"""How losses of the margin market end in the tests: honest keepers do all that the rules give them to do.

An attack says what accounts end with. Once rules meet losses otherwise, this is where it is said how.
"""

from __future__ import annotations

from contextlib import suppress

from backstop.deployment.signing import trader
from backstop.model.arithmetic import RAY, WAD
from backstop.model.interfaces import LAST, LIQUIDATION
from backstop.model.state import Revert
from tests.support.margin import PERPETUALS, interest, liquidate, other_side
from tests.support.protocol import Protocol

DUST = 100
"""Wei: what roundings may move."""


def meet_losses(protocol: Protocol) -> None:
    """Have others pay for every account that owes more than it has, and the protocol for what is left."""
    for owner in traders(protocol):
        for market in range(markets(protocol)):
            if size(protocol, owner, market) and equity(protocol, owner, LIQUIDATION) < 0:
                meet_loss(protocol, owner, market)
    assert all(equity(protocol, owner) >= 0 for owner in traders(protocol))
    post_losses(protocol)


def meet_loss(protocol: Protocol, owner: str, market: int) -> int:
    """Have the fund pay, then those who gained in a market; return the gas, if the host tells it."""
    gas = 0
    begun = protocol.do("MarginDeleverager.begin", owner, market, sender="keeper")
    gas += protocol.lockstep.chain.gas
    if begun:
        protocol.do("MarginDeleverager.submit", other_side(protocol), sender="keeper")
        gas += protocol.lockstep.chain.gas
        protocol.do("MarginDeleverager.execute", 100, sender="keeper")
        gas += protocol.lockstep.chain.gas
    return gas


def post_losses(protocol: Protocol) -> None:
    """Have the protocol bear what nobody has paid, if the deployment has it do that."""
    assert protocol.parameters.margin
    for market in range(markets(protocol)):
        if interest(protocol, market).unpaid and protocol.parameters.margin.domain:
            protocol.do("MarginMarket.post_shortfall", market, sender="keeper")


def borne_by_protocol(protocol: Protocol) -> int:
    """Return what the markets have cost the protocol or will [wad]."""
    perpetuals = protocol.parameters.type_names.index(PERPETUALS.name)
    unpaid = sum(interest(protocol, market).unpaid for market in range(markets(protocol)))
    return int(protocol.read("VaultEngine.deficit_of", perpetuals)) // RAY + unpaid


def take_over(protocol: Protocol, name: str, market: int) -> None:
    """Have a liquidator take over as much of an account as rules allow, all at once or in halves."""
    lots = abs(size(protocol, trader(name), market))
    while lots:
        with suppress(Revert):
            liquidate(protocol, name, lots, market)
        lots = min(lots // 2, abs(size(protocol, trader(name), market)))


def insurance(protocol: Protocol) -> int:
    """Return what the fund has of its own [wad]."""
    return int(protocol.read("MarginFund.insurance_of").amount)


def insure(protocol: Protocol, amount: int) -> None:
    """Add whole stablecoins to the fund's own."""
    protocol.do("MarginFund.insure", amount * WAD, sender="rich")


def close_all(protocol: Protocol) -> None:
    """In settlement, have the market close and every position end."""
    protocol.do("MarginMarket.begin_close", sender="keeper")
    for market in range(markets(protocol)):
        while longs := [owner for owner in traders(protocol) if size(protocol, owner, market) > 0]:
            short = next(owner for owner in traders(protocol) if size(protocol, owner, market) < 0)
            lots = min(size(protocol, longs[0], market), -size(protocol, short, market))
            protocol.do("MarginMarket.close_out", longs[0], short, market, lots, sender="keeper")


def traders(protocol: Protocol) -> list[str]:
    """Return all accounts that ever were."""
    return list(protocol.lockstep.model.world.contracts["MarginMarket"].tables["margin_book.accounts"])


def markets(protocol: Protocol) -> int:
    """Return how many there are."""
    return int(protocol.read("MarginPolicy.markets"))


def size(protocol: Protocol, owner: str, market: int) -> int:
    """Return a position's size [lots]."""
    return int(protocol.read("MarginMarket.position_of", owner, market).size)


def equity(protocol: Protocol, owner: str, kind: int = LAST) -> int:
    """Return what an account is worth at prices of a kind [wad]."""
    return int(protocol.read("MarginMarket.worth_of", owner, kind).equity)


def whole(*amounts: int) -> str:
    """Return amounts [wad] as a reader likes them, in stablecoins."""
    return " and ".join(f"{amount / WAD:,.2f}" for amount in amounts)
