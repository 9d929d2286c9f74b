"""How a settlement is begun and carried through in the tests."""

from __future__ import annotations

from typing import Any

from backstop.model.arithmetic import RAY
from tests.support.auctions import NOBODY
from tests.support.protocol import Protocol


def begin(protocol: Protocol) -> None:
    """Announce settlement, wait, begin."""
    protocol.do("Settlement.announce", sender="admin")
    protocol.advance(protocol.parameters.settlement.delay)
    protocol.do("Settlement.begin", sender="stranger")


def fix_prices(protocol: Protocol) -> None:
    """Final prices of all types."""
    for c in range(protocol.read("VaultEngine.collateral_types")):
        protocol.do("Settlement.fix_price", c, sender="stranger")


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
    protocol.do("Settlement.fix", sender="stranger")
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
