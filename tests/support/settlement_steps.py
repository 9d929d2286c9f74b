"""How a settlement is begun and carried through in the tests."""

from __future__ import annotations

from typing import Any

from backstop.model.bounds import FINAL_DEADLINE
from backstop.proof.local_protocol import LocalProtocol
from tests.support.auction_steps import NOBODY


def start_settlement(protocol: LocalProtocol) -> None:
    """Announce settlement, wait, begin."""
    protocol.do("Settlement.announce", sender="admin")
    protocol.advance(protocol.parameters.settlement.delay)
    protocol.do("Settlement.begin", sender="stranger")


def report_until_final_prices_exist(protocol: LocalProtocol) -> None:
    """Repeat the reporters' last reports until all final prices are made."""
    types = range(protocol.read("VaultEngine.collateral_types"))
    begun_at = protocol.read("Settlement.progress_of").begun_at
    while protocol.timestamp < begun_at + FINAL_DEADLINE:
        said = {
            c: _read_known_price(protocol, c)
            for c in types
            if not protocol.read("PriceFeed.final_price", c)[0]
        }
        if not said:
            break
        protocol.advance(max(_compute_seconds_until_feed_step(protocol, c) for c in said))
        for c, price in said.items():
            if price:
                for reporter in protocol.read("PriceFeed.reporters_of", c):
                    protocol.do("PriceFeed.report", c, price, sender=reporter)
                protocol.do("PriceFeed.poke", c, sender="stranger")
        protocol.advance(7_200 if any(said.values()) else FINAL_DEADLINE)


def _read_known_price(protocol: LocalProtocol, collateral_type: int) -> int:
    prices = protocol.read("PriceFeed.prices_of", collateral_type)
    return int(prices.next or protocol.read("PriceFeed.withheld", collateral_type) or prices.current)


def _compute_seconds_until_feed_step(protocol: LocalProtocol, collateral_type: int) -> int:
    stepped_at = protocol.read("PriceFeed.latest_round_data", collateral_type)[3]
    return int(
        max(0, stepped_at + protocol.read("PriceFeed.config_of", collateral_type)[2] - protocol.timestamp)
    )


def fix_prices(protocol: LocalProtocol) -> None:
    """Final prices of all types, once the feed has made them."""
    report_until_final_prices_exist(protocol)
    for c in range(protocol.read("VaultEngine.collateral_types")):
        protocol.do("Settlement.fix_price", c, sender="stranger")


def cover_deficits_last_time(protocol: LocalProtocol) -> list[tuple[Any, ...]]:
    """Cover all deficits a last time from the stages; return the log of each payment."""
    paid = []
    for c in range(protocol.read("VaultEngine.collateral_types")):
        if protocol.read("VaultEngine.deficit_of", c):
            protocol.do("Settlement.cover_last", c, sender="stranger")
            paid += [log.values for log in protocol.last.logs if log.event == "LossCovered"]
    return paid


def cover_and_fix_redemption_rates(protocol: LocalProtocol) -> None:
    """Cover all deficits a last time from the stages, and close the books."""
    cover_deficits_last_time(protocol)
    protocol.do("Settlement.fix_redemption_rates", sender="stranger")


def list_open_auction_ids(protocol: LocalProtocol) -> list[int]:
    """The ids of all auctions that are open."""
    last = int(protocol.read("CollateralAuction.last_id"))
    return [
        auction_id
        for auction_id in range(1, last + 1)
        if protocol.table("CollateralAuction", "lots", auction_id).target
    ]


def unwind_auctions(protocol: LocalProtocol) -> None:
    """Unwind every open auction."""
    for auction_id in list_open_auction_ids(protocol):
        protocol.do("CollateralAuction.unwind", auction_id, sender="stranger")


def list_indebted_vaults(protocol: LocalProtocol) -> list[tuple[int, str]]:
    """Collateral type and owner of every vault with debt, in a fixed order."""
    vaults: dict[Any, Any] = dict(protocol.lockstep.snapshot()["VaultEngine"]["vaults"])
    return sorted(key for key, vault in vaults.items() if vault.normalized_debt)


def skim_vault_and_read_amounts(
    protocol: LocalProtocol, collateral_type: int, vault_owner: str
) -> tuple[int, int, int]:
    """Skim a vault as a stranger; return the collateral taken, the debt and the collateral's value."""
    protocol.do("Settlement.skim", collateral_type, vault_owner, sender="stranger")
    (found,) = [log.values for log in protocol.last.logs if log.event == "Skimmed"]
    return found[2:]


def settle_protocol(protocol: LocalProtocol) -> int:
    """Begin, unwind, fix prices, skim every vault and close the books; the supply."""
    start_settlement(protocol)
    unwind_auctions(protocol)
    fix_prices(protocol)
    for c, owner in list_indebted_vaults(protocol):
        skim_vault_and_read_amounts(protocol, c, owner)
    cover_and_fix_redemption_rates(protocol)
    return int(protocol.read("Stablecoin.totalSupply"))


def list_stablecoin_balances_by_holder(protocol: LocalProtocol) -> dict[str, int]:
    """Return all holders of stablecoin: account -> wad."""
    balances: dict[Any, Any] = dict(protocol.lockstep.snapshot()["Stablecoin"]["erc20.balanceOf"])
    return {who: amount for who, amount in sorted(balances.items()) if amount and who != NOBODY}


def compute_settled_collateral_and_debt(
    locked: int, price: int, normalized_debt: int, rate: int, unit: int
) -> tuple[int, int]:
    """Return a vault's settled collateral by the specification, and its debt's value: wad and rad."""
    debt = normalized_debt * rate
    taken = min(locked, -(-debt // (price * unit)) * unit)
    return taken, min(debt, taken * price)
