"""How a settlement is begun and carried through in the tests."""

from __future__ import annotations

from typing import Any

from backstop.model.arithmetic import RAY
from backstop.model.bounds import FINAL_DEADLINE
from tests.support.auctions import NOBODY
from tests.support.protocol import Protocol


def begin(protocol: Protocol) -> None:
    """Announce settlement, wait, begin."""
    protocol.do("Settlement.announce", sender="admin")
    protocol.advance(protocol.parameters.settlement.delay)
    protocol.do("Settlement.begin", sender="stranger")


def make_prices(protocol: Protocol) -> None:
    """Have the reporters go on with what they said last until all final prices are made."""
    types = range(protocol.read("VaultEngine.collateral_types"))
    begun_at = protocol.read("Settlement.progress_of").begun_at
    while protocol.timestamp < begun_at + FINAL_DEADLINE:
        said = {c: _said(protocol, c) for c in types if not protocol.read("PriceFeed.final_price", c)[0]}
        if not said:
            break
        protocol.advance(max(_until_step(protocol, c) for c in said))
        for c, price in said.items():
            if price:
                for reporter in protocol.read("PriceFeed.reporters_of", c):
                    protocol.do("PriceFeed.report", c, price, sender=reporter)
                protocol.do("PriceFeed.poke", c, sender="stranger")
        protocol.advance(7_200 if any(said.values()) else FINAL_DEADLINE)


def _said(protocol: Protocol, c: int) -> int:
    prices = protocol.read("PriceFeed.prices_of", c)
    return int(prices.next or protocol.read("PriceFeed.withheld", c) or prices.current)


def _until_step(protocol: Protocol, c: int) -> int:
    stepped_at = protocol.read("PriceFeed.latest_round_data", c)[3]
    return int(max(0, stepped_at + protocol.read("PriceFeed.config_of", c)[2] - protocol.timestamp))


def fix_prices(protocol: Protocol) -> None:
    """Final prices of all types, once the feed has made them."""
    make_prices(protocol)
    for c in range(protocol.read("VaultEngine.collateral_types")):
        protocol.do("Settlement.fix_price", c, sender="stranger")


def cover_last(protocol: Protocol) -> list[tuple[Any, ...]]:
    """Have the stages cover all deficits a last time; what was logged of each payment."""
    paid = []
    for c in range(protocol.read("VaultEngine.collateral_types")):
        if protocol.read("VaultEngine.deficit_of", c):
            protocol.do("Settlement.cover_last", c, sender="stranger")
            paid += [log.values for log in protocol.last.logs if log.event == "LossCovered"]
    return paid


def close(protocol: Protocol) -> None:
    """Have the stages cover all deficits a last time, and close the books."""
    cover_last(protocol)
    protocol.do("Settlement.fix", sender="stranger")


def open_auctions(protocol: Protocol) -> list[int]:
    """The ids of all auctions that are open."""
    last = int(protocol.read("CollateralAuction.last_id"))
    return [id for id in range(1, last + 1) if protocol.table("CollateralAuction", "lots", id).target]


def unwind(protocol: Protocol) -> None:
    """Unwind every open auction."""
    for id in open_auctions(protocol):
        protocol.do("CollateralAuction.unwind", id, sender="stranger")


def indebted(protocol: Protocol) -> list[tuple[int, str]]:
    """Collateral type and owner of every vault with debt, in a fixed order."""
    vaults: dict[Any, Any] = dict(protocol.lockstep.snapshot()["VaultEngine"]["vaults"])
    return sorted(key for key, vault in vaults.items() if vault.normalized_debt)


def skim(protocol: Protocol, c: int, who: str) -> tuple[int, int, int]:
    """Skim a vault as a stranger; collateral taken, debt and what the collateral is worth."""
    protocol.do("Settlement.skim", c, who, sender="stranger")
    (found,) = [log.values for log in protocol.last.logs if log.event == "Skimmed"]
    return found[2:]


def settle(protocol: Protocol) -> int:
    """Begin, unwind, fix prices, skim every vault and close the books; the supply."""
    begin(protocol)
    unwind(protocol)
    fix_prices(protocol)
    for c, owner in indebted(protocol):
        skim(protocol, c, owner)
    close(protocol)
    return int(protocol.read("Stablecoin.totalSupply"))


def holders(protocol: Protocol) -> dict[str, int]:
    """Everybody who holds stablecoin: account -> wad."""
    balances: dict[Any, Any] = dict(protocol.lockstep.snapshot()["Stablecoin"]["erc20.balanceOf"])
    return {who: amount for who, amount in sorted(balances.items()) if amount and who != NOBODY}


def final_debt(locked: int, price: int, normalized_debt: int, rate: int, unit: int) -> tuple[int, int]:
    """What a vault gives by the specification, and what its debt is worth: wad and rad."""
    debt = normalized_debt * rate
    taken = min(locked, -(-debt // (price * unit)) * unit)
    return taken, min(debt, taken * price)


def worth(protocol: Protocol, c: int, amount: int) -> int:
    """What collateral is worth at the final price, wad."""
    return int(amount * protocol.read("Settlement.final_price_of", c)[1] // RAY)
